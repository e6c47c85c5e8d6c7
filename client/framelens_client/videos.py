"""Videos and their moments, in the words and units of the contract (framelens.proto): seconds of the video."""

from dataclasses import dataclass

from framelens_client.results import Box, PictureSize


@dataclass(frozen=True, slots=True)
class Video:
    """A video of the feed; `published_at` is in seconds since the epoch, None the time of indexing."""

    id: str
    account: str
    title: str = ""
    url: str = ""
    published_at: float | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    at_s: float
    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Track:
    """One thing, followed while it is in view; `score`, `at_s`, `box` and `picture_id` are of its best sighting."""

    number: int
    label: str
    score: float
    at_s: float
    box: Box
    picture_id: str
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """`note` says what could not be read; `indexed_at` is in seconds since the epoch. Lists leave `tracks` out."""

    video: Video
    duration_s: float
    size: PictureSize | None
    frames: int
    note: str
    tracks: tuple[Track, ...]
    indexed_at: float
    sha256: str


@dataclass(frozen=True, slots=True)
class VideoPage:
    """Videos in the order of their ids; the token is empty on the last page."""

    videos: tuple[StoredVideo, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far indexing is: `state` is receiving or indexing, and at the end stored or unchanged, with `stored`."""

    state: str
    position_s: float
    duration_s: float
    frames: int
    tracks: int
    stored: StoredVideo | None


@dataclass(frozen=True, slots=True)
class Span:
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Moment:
    """A span in which one object can be recognised; it is seen best at `at_s`, in `box`."""

    start_s: float
    end_s: float
    at_s: float
    box: Box
    label: str
    score: float
    salience: float
    route: str
    picture_id: str


@dataclass(frozen=True, slots=True)
class VideoMoments:
    """When the button shows, and what would be recognised."""

    video_id: str
    button: tuple[Span, ...]
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class BatchMoments:
    """Of the videos that are stored, in the order in which they were asked for."""

    videos: tuple[VideoMoments, ...]
    missing: tuple[str, ...]
