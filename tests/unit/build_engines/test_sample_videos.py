"""The sample video is cut in two that browsers play, once, and its absence is said and ends nothing."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from framelens_engines import sample_videos
from framelens_engines.progress import Reporter
from framelens_engines.sample_videos import extract_sample_videos
from framelens_triton.debian_packages import PackageError


def write_source(path: Path) -> None:
    """80 seconds at a frame a second, of which each is a little lighter."""
    path.parent.mkdir(parents=True)
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for second in range(80):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 2 * second, np.uint8), "rgb24")
            frame.pts, frame.time_base = second, Fraction(1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The packages that were asked for, of a Debian that has a small one."""
    names: list[Sequence[str]] = []

    def unpack(packages: Sequence[str], to: Path) -> None:
        names.append(packages)
        write_source(to / sample_videos._FILE)

    monkeypatch.setattr(sample_videos, "unpack", unpack)
    return names


def greys(path: Path) -> tuple[str, list[float]]:
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="gray8") for frame in container.decode(video=0)]
        return container.streams.video[0].codec.name, [float(frame.mean()) for frame in frames]


def test_it_is_cut_in_two_once(tmp_path: Path, asked: list[Sequence[str]]) -> None:
    for _ in range(2):
        first, second = extract_sample_videos(tmp_path, Reporter(quiet=True))
    assert len(asked) == 1
    (codec, early), (_, late) = greys(first), greys(second)
    assert codec == "h264"
    assert (len(early), len(late)) == (40, 40)
    assert early[0] == pytest.approx(0, abs=8)
    assert late[0] == pytest.approx(80, abs=8)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["pedestrians-1.mp4", "pedestrians-2.mp4"]


def test_where_there_is_no_such_package_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unpack(packages: Sequence[str], _: Path) -> None:
        raise PackageError(f"{packages[0]} is not here")

    monkeypatch.setattr(sample_videos, "unpack", unpack)
    assert extract_sample_videos(tmp_path, Reporter()) == []
    assert "without the sample video: opencv-doc is not here" in capsys.readouterr().err
