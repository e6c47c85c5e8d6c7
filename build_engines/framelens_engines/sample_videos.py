"""A sample video for demos and tests: people who walk, in two parts, from a package of Debian."""

import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from framelens_engines.progress import Reporter
from framelens_triton.debian_packages import PackageError, unpack

_PACKAGE = "opencv-doc"
_FILE = "usr/share/doc/opencv-doc/examples/data/vtest.avi"
# Two accounts have published one part each, so that each has related videos.
_PARTS_S = {"pedestrians-1.mp4": (0.0, 40.0), "pedestrians-2.mp4": (40.0, 80.0)}
_MILLISECOND = Fraction(1, 1000)


def extract_sample_videos(to: Path, reporter: Reporter) -> list[Path]:
    """Writes the parts to `to` in what browsers play; those already there are left alone.

    Where there is no apt-get there is no sample video, which is said.
    """
    parts = [to / name for name in _PARTS_S]
    if all(part.is_file() for part in parts):
        return parts
    reporter.say(f"fetching the sample video from {_PACKAGE} (96 MB)")
    with tempfile.TemporaryDirectory(prefix="framelens-video-") as scratch:
        try:
            unpack([_PACKAGE], Path(scratch))
        except PackageError as error:
            reporter.say(f"without the sample video: {error}")
            return []
        _cut(Path(scratch) / _FILE, parts)
    return parts


def _cut(source: Path, parts: Sequence[Path]) -> None:
    for part in parts:
        start_s, end_s = _PARTS_S[part.name]
        partial = part.with_suffix(".partial.mp4")
        _transcode(source, partial, start_s, end_s)
        partial.replace(part)


def _transcode(source: Path, target: Path, start_s: float, end_s: float) -> None:
    """H.264, from the first frame at or after `start_s` up to `end_s`."""
    with av.open(source) as old, av.open(target, "w", options={"movflags": "+faststart"}) as new:
        frames = old.streams.video[0]
        stream = new.add_stream("libx264", rate=frames.average_rate, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = frames.width, frames.height, "yuv420p"
        stream.codec_context.time_base = _MILLISECOND
        for frame in old.decode(frames):
            if frame.time >= end_s:
                break
            if frame.time >= start_s:
                picture = frame.reformat(format="yuv420p")
                picture.pts, picture.time_base = round((frame.time - start_s) * 1000), _MILLISECOND
                new.mux(stream.encode(picture))
        new.mux(stream.encode())
