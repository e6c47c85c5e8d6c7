"""Frames to recognise, one by one or in a stream, in the words and units of the contract (framelens.proto)."""

from dataclasses import dataclass
from pathlib import Path

from framelens_client.errors import FrameLensError
from framelens_client.results import Filter, Recognition


@dataclass(frozen=True, slots=True)
class RelatedOptions:
    """Of related videos, which are of other accounts than `account` or, for a stored video, than its own.

    `same_account` answers with videos of that account too, `several_per_account` with more than one of each.
    """

    account: str = ""
    same_account: bool = False
    several_per_account: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizeOptions:
    """How a frame is recognised and searched; None is the gateway's default."""

    top_k: int | None = None
    min_score: float | None = None
    filter: Filter | None = None
    use_boost: bool = False
    min_object_score: float | None = None
    max_objects: int | None = None
    key: str = ""
    video_id: str = ""
    timestamp_s: float | None = None
    fresh: bool = False
    related: RelatedOptions | None = None
    unnamed_objects: bool | None = None


@dataclass(frozen=True, slots=True)
class StreamFrame(RecognizeOptions):
    """A frame of a stream: `id` names its answer, and `timeout_s` counts from its arrival.

    `id` has up to 64 bytes and is not that of another frame that is under way. Without `picture`, `video_id` and
    `timestamp_s` say which stored moment is meant.
    """

    id: str
    picture: bytes | Path | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """What became of one frame: either `recognition` or `error`, which touches no other frame."""

    id: str
    recognition: Recognition | None = None
    error: FrameLensError | None = None
