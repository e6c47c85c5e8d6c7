"""Indexes a video and watches the processes that do it."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from framelens_client import Client
from framelens_client.videos import Video
from framelens_perf.processes import cpu_s, memory_mib

# The process that decodes is a child of the gateway.
_WATCHED = "gateway"
_EVERY_S = 0.1


@dataclass(frozen=True)
class Indexed:
    """One indexing; `cpu_ms` by part of the stack, for each second of the video."""

    duration_s: float
    seconds: float
    looks: int
    tracks: int
    cpu_ms: dict[str, float]
    peak_mib: float

    @property
    def times_real(self) -> float:
        return self.duration_s / self.seconds


def indexed(client: Client, video_id: str, file: Path, pids: Mapping[str, int]) -> Indexed:
    """Raises FrameLensError."""
    before, started = _cpu_s(pids), time.perf_counter()
    with _peak_mib(pids[_WATCHED]) as peak:
        client.index_video(Video(video_id, "measured"), file)
    seconds, used = time.perf_counter() - started, _cpu_s(pids)
    stored = client.video(video_id)
    cpu_ms = {part: (used[part] - before[part]) * 1e3 / stored.duration_s for part in pids}
    return Indexed(stored.duration_s, seconds, stored.frames, len(stored.tracks), cpu_ms, peak[0])


def _cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    return {part: cpu_s(pid) for part, pid in pids.items()}


@contextmanager
def _peak_mib(pid: int) -> Iterator[list[float]]:
    """The most memory that a process and its descendants hold meanwhile."""
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY_S):
            peak[0] = max(peak[0], memory_mib(pid))

    watching = threading.Thread(target=watch, name="peak")
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()
