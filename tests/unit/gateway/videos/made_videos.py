"""Small videos with known content, made on the spot."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
SIZE = (160, 96)
_BLACK, _LIGHT = 16, 200


def still(grey: int = 90) -> Picture:
    width, height = SIZE
    picture = np.full((height, width, 3), grey, np.uint8)
    picture[8:24, 8:24] = _LIGHT
    return picture


def moving(second: float) -> Picture:
    """A light square that goes to the right, 40 pixels a second."""
    picture = np.full((SIZE[1], SIZE[0], 3), _BLACK, np.uint8)
    left = round(40 * second) % (SIZE[0] - 16)
    picture[40:56, left : left + 16] = _LIGHT
    return picture


def write_video(
    path: Path,
    picture_at: Callable[[float], Picture] = moving,
    *,
    seconds: float = 2.0,
    rate: int = 25,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation: int = 0,
    times: Iterator[float] | None = None,
    audio_only: bool = False,
    **options: str,
) -> Path:
    """`times` in place of an even rate; `rotation` as a phone notes it."""
    with av.open(path, "w") as container:
        if audio_only:
            _add_silence(container, seconds)
            return path
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for second in times or (number / rate for number in range(round(seconds * rate))):
            frame = av.VideoFrame.from_ndarray(picture_at(second), "rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = round(second * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _add_silence(container: av.container.OutputContainer, seconds: float) -> None:
    stream = container.add_stream("aac", rate=16_000, layout="mono")
    for start in range(0, round(seconds * 16_000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 16_000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
