"""The frames of a video that are worth a look, from a decoding process of its own."""

import asyncio
import math
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from framelens_client.reasons import Reason
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.videos.decoding.messages import MESSAGES, Ended, Frame, Opened, Refused
from framelens_gateway.videos.track_colours import SmallFrame

# A decoder that says nothing for so long is stuck: between two frames there are seconds of video at most.
_SILENT_S = 60
_LINE_BYTES = 2**16


@dataclass(frozen=True)
class FrameSettings:
    """When to look again, in seconds: while things move, and while nothing does; and how large a frame may be."""

    min_gap_s: float
    max_gap_s: float
    max_pixels: int


@dataclass(frozen=True)
class Look:
    """A frame to look at, as JPEG and small in CIELAB; `cut` where a new scene begins."""

    at_s: float
    cut: bool
    jpeg: bytes
    small: SmallFrame


class VideoFrames:
    """A video that is being decoded; `duration_s` is what its file says, 0 where it does not."""

    def __init__(self, opened: Opened, out: asyncio.StreamReader) -> None:
        self.duration_s, self.width, self.height = opened.duration_s, opened.width, opened.height
        self.read_s, self.note = 0.0, ""
        self._out = out

    async def looks(self) -> AsyncIterator[Look]:
        """In order; then `read_s` and `note` say how far it could be read, and what could not."""
        while True:
            message = await _message(self._out)
            match message:
                case Frame():
                    self.read_s = message.at_s
                    yield await self._look(message)
                case Ended():
                    self.read_s, self.note = message.read_s, message.note
                    return
                case _:
                    self.note = f"its decoder failed at {self.read_s:.1f} s"
                    return

    async def _look(self, frame: Frame) -> Look:
        jpeg = await self._out.readexactly(frame.jpeg_bytes)
        shape = frame.small_height, frame.small_width, 3
        small = np.frombuffer(await self._out.readexactly(math.prod(shape)), np.uint8).reshape(shape)
        return Look(frame.at_s, frame.cut, jpeg, small)


@asynccontextmanager
async def decoded(path: Path, settings: FrameSettings) -> AsyncIterator[VideoFrames]:
    """Raises InvalidRequest with INVALID_VIDEO where nothing of the file can be used. Ends what it has started."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "framelens_gateway.videos.decoding.main", path),
        *(str(settings.min_gap_s), str(settings.max_gap_s), str(settings.max_pixels)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    try:
        yield await _open(process)
    finally:
        if process.returncode is None:
            process.kill()
        # What is left in the pipe goes with it: asyncio does not take a process for ended before.
        await process.communicate()


async def _open(process: asyncio.subprocess.Process) -> VideoFrames:
    if process.stdout is None:
        raise AssertionError("the process was started with a pipe")
    message = await _message(process.stdout)
    match message:
        case Opened():
            return VideoFrames(message, process.stdout)
        case Refused():
            raise InvalidRequest(f"the video cannot be used: {message.message}", Reason.INVALID_VIDEO)
    raise InvalidRequest("the video cannot be used: its decoder failed", Reason.INVALID_VIDEO)


async def _message(out: asyncio.StreamReader) -> Opened | Frame | Ended | Refused | None:
    """None where the process has died, or is stuck."""
    try:
        async with asyncio.timeout(_SILENT_S):
            line = await out.readline()
    except TimeoutError:
        return None
    return MESSAGES.validate_json(line) if line.endswith(b"\n") else None
