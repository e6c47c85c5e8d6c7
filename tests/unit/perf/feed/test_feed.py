"""The videos that are measured with are what they say, and a report names the bars that were not kept."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from rich.console import Console

from framelens_perf.feed.indexing import Indexed
from framelens_perf.feed.made_videos import write_hd, write_repeated
from framelens_perf.feed.report import Report, print_report
from framelens_perf.open_loop.summary import Summary


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 10 frames a second, of which each is another."""
    path = tmp_path_factory.mktemp("videos") / "small.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(20):
            picture = np.roll(noise, number * 3, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def test_the_measured_video_is_720p_at_25_frames_with_some_between_others(small: Path, tmp_path: Path) -> None:
    write_hd(small, tmp_path / "hd.mp4")
    with av.open(tmp_path / "hd.mp4") as container:
        frames = list(container.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {(1280, 720)}
    assert np.diff([frame.time for frame in frames]) == pytest.approx(0.04)
    assert len(frames) == pytest.approx(50, abs=3)
    assert sum(frame.pict_type == PictureType.B for frame in frames) > 5


def test_a_repeated_one_is_as_many_times_as_long(small: Path, tmp_path: Path) -> None:
    write_repeated(small, tmp_path / "long.mp4", 3)
    with av.open(tmp_path / "long.mp4") as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == 60
    assert np.diff(times) == pytest.approx(0.1)


def summary(p99: float, codes: dict[str, int]) -> Summary:
    return Summary(200.0, 200.0, codes, {"p99": p99}, None, 0.0)


@pytest.mark.parametrize(
    ("seconds", "peak_mib", "p99", "codes", "wrong"),
    [
        (10.0, 210.0, 4.0, {"OK": 9}, []),
        (21.0, 210.0, 4.0, {"OK": 9}, ["times as fast"]),
        (10.0, 300.0, 4.0, {"OK": 9}, ["memory grew"]),
        (10.0, 210.0, 6.0, {"OK": 9}, ["p99 of GetMoments"]),
        (10.0, 210.0, 4.0, {"OK": 8, "NOT_FOUND": 1}, ["calls of GetMoments failed"]),
    ],
)
def test_what_is_not_as_it_should_be_is_named(
    seconds: float, peak_mib: float, p99: float, codes: dict[str, int], wrong: list[str]
) -> None:
    short = Indexed(40.0, 4.0, 100, 20, {"triton": 90.0}, 200.0)
    long = Indexed(160.0, seconds, 400, 68, {"triton": 90.0}, peak_mib)
    report = Report("int8", short, long, 4, 10_000, summary(p99, codes), summary(1.0, {"OK": 9}))
    faults = report.faults()
    assert len(faults) == len(wrong)
    assert all(part in fault for part, fault in zip(wrong, faults, strict=True))
    console = Console(width=165, record=True)
    print_report(console, report)
    assert "int8" in console.export_text()
