"""Videos to measure with, made of the sample video: 720p at 25 frames a second, and any number of times as long."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.filter import Graph
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

_WIDTH, _HEIGHT, _RATE = 1280, 720, 25
# As feeds get them: with frames between others.
_ENCODING = {"preset": "veryfast", "crf": "23"}
_MOST_BETWEEN = 3


def write_hd(source: Path, target: Path) -> None:
    """The same in 720p, with frames between its own blended of two."""
    with av.open(source) as old, av.open(target, "w") as new:
        stream = new.add_stream("libx264", rate=_RATE, options=_ENCODING)
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        stream.codec_context.max_b_frames = _MOST_BETWEEN
        for number, frame in enumerate(_blended(old.decode(video=0), old.streams.video[0])):
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            # The encoder would keep to the kinds of the old frames.
            frame.pict_type = PictureType.NONE
            new.mux(stream.encode(frame))
        new.mux(stream.encode())


def write_repeated(source: Path, target: Path, times: int) -> None:
    """The same again and again, without decoding."""
    with av.open(target, "w") as new:
        stream: VideoStream | None = None
        shift = 0
        for _ in range(times):
            with av.open(source) as old:
                (video,) = old.streams.video
                stream = stream or new.add_stream_from_template(video)
                for packet in old.demux(video):
                    if packet.pts is not None and packet.dts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        new.mux(packet)
                shift += video.duration or 0


def _blended(frames: Iterator[VideoFrame], stream: VideoStream) -> Iterator[VideoFrame]:
    graph = Graph()
    last = graph.add_buffer(template=stream)
    for name, arguments in (("scale", f"{_WIDTH}:{_HEIGHT}"), ("framerate", f"fps={_RATE}"), ("buffersink", None)):
        following = graph.add(name, arguments)
        last.link_to(following)
        last = following
    graph.configure()
    for frame in chain(frames, [None]):
        graph.push(frame)
        with suppress(BlockingIOError, EOFError):
            while True:
                yield graph.vpull()
