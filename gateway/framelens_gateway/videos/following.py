"""Looks at the frames of a video and follows what is in view, with no more in memory than what is still in view."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from framelens_gateway.recognizer import FoundObject
from framelens_gateway.videos.background import Background
from framelens_gateway.videos.frames import Look, VideoFrames
from framelens_gateway.videos.track_colours import colours
from framelens_gateway.videos.tracks import Detection, Track, Tracker

# Frames that are recognised at once: enough to fill batches while the next ones are decoded.
_AT_ONCE = 6

# Raises GatewayError.
Recognise = Callable[[bytes], Awaitable[Sequence[FoundObject]]]


@dataclass(frozen=True)
class Followed:
    """A track that is over, and the frame, as JPEG, in which it shows best."""

    track: Track
    best_frame: bytes


@dataclass(frozen=True)
class Step:
    """So many frames have been looked at, the last one at `at_s`; `over` are the tracks that ended with it."""

    looks: int
    at_s: float
    over: list[Followed]


class Follower:
    """Follows one video."""

    def __init__(self, recognise: Recognise) -> None:
        self._recognise = recognise
        self._tracker, self._background = Tracker(), Background()
        self._looks = 0
        # By second: the frames in which something that is not over yet shows best.
        self._best_frames: dict[float, bytes] = {}

    async def steps(self, frames: VideoFrames) -> AsyncIterator[Step]:
        """One for each look, in order, and a last one for what was in view at the end. Raises GatewayError."""
        waiting: deque[tuple[Look, asyncio.Future[Sequence[FoundObject]]]] = deque()
        try:
            async for look in frames.looks():
                waiting.append((look, asyncio.ensure_future(self._recognise(look.jpeg))))
                if len(waiting) == _AT_ONCE:
                    yield await self._take(*waiting.popleft())
            while waiting:
                yield await self._take(*waiting.popleft())
        finally:
            for _, recognition in waiting:
                recognition.cancel()
        over = await asyncio.to_thread(self._tracker.finish)
        yield Step(self._looks, frames.read_s, self._with_frames(over))

    async def _take(self, look: Look, recognition: "asyncio.Future[Sequence[FoundObject]]") -> Step:
        # Linking takes longer than searches should wait for.
        over = await asyncio.to_thread(self._track, look, await recognition)
        followed = self._with_frames(over)
        self._best_frames[look.at_s] = look.jpeg
        needed = {track.best.at_s for track in self._tracker.open}
        self._best_frames = {at_s: jpeg for at_s, jpeg in self._best_frames.items() if at_s in needed}
        self._looks += 1
        return Step(self._looks, look.at_s, followed)

    def _track(self, look: Look, found: Sequence[FoundObject]) -> list[Track]:
        moving = self._background.moving(look.small, cut=look.cut)
        detections = [
            Detection(each.label, each.score, each.box, colours(look.small, moving, each.box)) for each in found
        ]
        return self._tracker.look(look.at_s, detections, cut=look.cut)

    def _with_frames(self, over: Sequence[Track]) -> list[Followed]:
        return [Followed(track, self._best_frames[track.best.at_s]) for track in over if track.is_sound]
