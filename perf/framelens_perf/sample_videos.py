"""The sample video, as a feed would index it, and what the feed is told of it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from framelens_client import Client
from framelens_client.videos import Video, VideoMoments

# Two accounts, so that people in one video lead to the other.
SAMPLE_VIDEOS = (
    Video("pedestrians-1", "campus", "People who walk"),
    Video("pedestrians-2", "square", "People who walk on"),
)
_LEAST_PEOPLE = 5
# Other things are not in view.
_IN_VIEW = {"person", "car"}


@dataclass(frozen=True)
class IndexedVideo:
    """A sample video that is stored; `speed` is in seconds of the video for each second of indexing."""

    video: Video
    duration_s: float
    speed: float
    moments: VideoMoments

    def faults(self) -> list[str]:
        """What is not as it should be."""
        people = [moment for moment in self.moments.moments if moment.label == "person"]
        wrong = [] if len(people) >= _LEAST_PEOPLE else [f"only {len(people)} people were followed in {self.video.id}"]
        seen = {moment.label for moment in self.moments.moments}
        wrong += [f"there is no {label} in {self.video.id}, but a moment of one" for label in sorted(seen - _IN_VIEW)]
        if not self.moments.button:
            wrong.append(f"the button never shows in {self.video.id}")
        return wrong


def index_sample_videos(client: Client, samples: Path, count: int = len(SAMPLE_VIDEOS)) -> Iterator[IndexedVideo]:
    """Those of the first `count` that there are: they come from a Debian package. Raises FrameLensError."""
    for video in SAMPLE_VIDEOS[:count]:
        file = samples / f"{video.id}.mp4"
        if file.is_file():
            started = time.perf_counter()
            done = client.index_video(video, file)
            seconds = time.perf_counter() - started
            duration_s = done.stored.duration_s if done.stored else 0.0
            yield IndexedVideo(video, duration_s, duration_s / seconds, client.moments(video.id))


def moments_table(indexed: IndexedVideo) -> Table:
    table = Table(title=f"moments of {indexed.video.title} ({indexed.duration_s:.0f} s)", title_justify="left")
    for column in ("in view", "label", "searched in", "score", "salience"):
        table.add_column(column, justify="right" if column in ("in view", "score", "salience") else "left")
    for moment in indexed.moments.moments:
        span = f"{moment.start_s:.1f} to {moment.end_s:.1f} s"
        table.add_row(span, moment.label, moment.route, f"{moment.score:.2f}", f"{moment.salience:.2f}")
    return table
