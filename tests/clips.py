"""Short parts of the sample videos."""

from pathlib import Path

import av
import pytest

SAMPLES = Path(__file__).parents[1] / "var" / "samples"


def sample_video(number: int) -> Path:
    """Skips the test where there is none."""
    path = SAMPLES / f"pedestrians-{number}.mp4"
    if not path.is_file():
        pytest.skip("the sample videos come from a Debian package, and are not here")
    return path


def first_seconds(source: Path, target: Path, seconds: float) -> Path:
    """Without decoding."""
    with av.open(source) as old, av.open(target, "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is None or packet.pts * packet.time_base > seconds:
                break
            packet.stream = stream
            new.mux(packet)
    return target
