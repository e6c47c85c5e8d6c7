"""`python -m framelens_gateway.videos.decoding.main FILE MIN_GAP_S MAX_GAP_S MAX_PIXELS`: the decoding process."""

import math
import os
import resource
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL.Image import Image
from pydantic import BaseModel

from framelens_gateway.videos.decoding.choice import FrameChoice
from framelens_gateway.videos.decoding.display import as_jpeg, displayed, displayed_size, small_lab, thumbnail
from framelens_gateway.videos.decoding.messages import Ended, Frame, Opened, Refused

# A file that makes its decoder want more is not a video of a feed.
_MAX_MEMORY_BYTES = 4 * 2**30
# Searches of live frames come first.
_NICENESS = 5
# Frames that cannot be decoded, in a row, before the rest is given up.
_MAX_BROKEN = 100
# At so many frames a second those are not decoded that no other is decoded from: half the work, and enough are left.
_MANY_FRAMES_A_SECOND = 20
# Of the duration that a file claims: what it may be short of, beside a second.
_WHOLE = 0.97


class NotUsable(Exception):
    """Nothing of the file can be used; the message says why."""


def main() -> None:
    path, min_gap_s, max_gap_s, max_pixels = sys.argv[1:]
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    av.logging.set_level(None)
    out = sys.stdout.buffer
    try:
        _decode(path, FrameChoice(float(min_gap_s), float(max_gap_s)), int(max_pixels), out)
    except NotUsable as error:
        _say(out, Refused(message=str(error)))
    except MemoryError:
        _say(out, Refused(message="decoding it takes more memory than a video of a feed needs"))


def _decode(path: str, choice: FrameChoice, max_pixels: int, out: BinaryIO) -> None:
    """Raises NotUsable."""
    with _opened(path) as container:
        stream = _video_stream(container)
        decoder = _Decoder(container, stream)
        first = next(decoder.frames(), None)
        if first is None:
            raise NotUsable(f"no frame of it can be decoded{decoder.why()}")
        aspect = float(stream.sample_aspect_ratio or 1)
        width, height = displayed_size(first, aspect)
        if width * height > max_pixels:
            raise NotUsable(f"its frames have {width}x{height} pixels; the limit is {max_pixels} in all")
        duration_s = _duration_s(container, stream)
        _say(out, Opened(duration_s=duration_s, width=width, height=height))
        read_s = 0.0
        for frame in chain([first], decoder.frames()):
            read_s = decoder.at_s(frame)
            if chosen := choice.of(read_s, thumbnail(frame)):
                _say_frame(out, read_s, displayed(frame, aspect), cut=chosen == "cut")
        _say(out, Ended(read_s=read_s, note=decoder.note(read_s, duration_s)))


class _Decoder:
    """Goes over what is broken, as players do, and remembers what was wrong."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        stream.thread_type = "AUTO"
        # By their count, where the file has it: what it says of its rate need not be true of its frames.
        if stream.frames > _MANY_FRAMES_A_SECOND * (_duration_s(container, stream) or math.inf):
            stream.codec_context.skip_frame = "NONREF"
        self._stream = stream
        self._decoded = self._all(container, stream)
        self._last_s = -1.0
        self._broken = 0
        self._ended_early = ""

    def frames(self) -> Iterator[VideoFrame]:
        """Those that are left."""
        return self._decoded

    def at_s(self, frame: VideoFrame) -> float:
        """Seconds from the beginning, as players count; later than that of every frame before."""
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        start = self._stream.start_time or 0
        at_s = self._last_s + float(1 / rate)
        if frame.pts is not None and frame.time_base is not None:
            at_s = float((frame.pts - start) * frame.time_base)
        self._last_s = max(at_s, self._last_s + 1e-3, 0.0)
        return self._last_s

    def why(self) -> str:
        return f": {self._ended_early}" if self._ended_early else ""

    def note(self, read_s: float, duration_s: float) -> str:
        """What could not be read, of a file that says how long it is; 0 where it does not."""
        parts = []
        if self._broken:
            parts.append(f"{self._broken} packets could not be decoded and were passed over")
        if self._ended_early:
            parts.append(f"it could be read up to {read_s:.1f} s{self.why()}")
        elif read_s < duration_s * _WHOLE - 1:
            parts.append(f"it says that it has {duration_s:.1f} s, and ends at {read_s:.1f} s")
        return "; ".join(parts)

    def _all(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        in_a_row = 0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError as error:
                self._ended_early = error.strerror or str(error)
                return
            try:
                for frame in packet.decode():
                    in_a_row = 0
                    yield frame
            except FFmpegError as error:
                self._broken, in_a_row = self._broken + 1, in_a_row + 1
                if in_a_row == _MAX_BROKEN:
                    self._ended_early = error.strerror or str(error)
                    return


def _opened(path: str) -> InputContainer:
    if Path(path).stat().st_size == 0:
        raise NotUsable("the file is empty (0 bytes)")
    try:
        return av.open(path, options={"protocol_whitelist": "file"})
    except FFmpegError as error:
        raise NotUsable(f"it is not a video that can be read: {error.strerror}") from error


def _video_stream(container: InputContainer) -> VideoStream:
    moving = [stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic]
    if not moving:
        kinds = sorted({stream.type for stream in container.streams})
        raise NotUsable(f"it has no video, only {' and '.join(kinds) or 'nothing'}")
    return moving[0]


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else 0.0


def _say_frame(out: BinaryIO, at_s: float, picture: Image, *, cut: bool) -> None:
    jpeg, small = as_jpeg(picture), small_lab(picture)
    height, width, _ = small.shape
    message = Frame(at_s=at_s, cut=cut, jpeg_bytes=len(jpeg), small_width=width, small_height=height)
    _say(out, message, jpeg, small.tobytes())


def _say(out: BinaryIO, message: BaseModel, *pictures: bytes) -> None:
    out.write(message.model_dump_json().encode() + b"\n" + b"".join(pictures))
    out.flush()


if __name__ == "__main__":
    main()
