"""Any file: the frames that are worth a look, in order and as displayed, or a sentence that says what is wrong."""

import io
from itertools import pairwise
from pathlib import Path

import pytest
from made_videos import SIZE, moving, still, write_video
from PIL import Image

from framelens_client.reasons import Reason
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.videos.frames import FrameSettings, Look, VideoFrames, decoded

SETTINGS = FrameSettings(min_gap_s=0.2, max_gap_s=1.0, max_pixels=2**20)


async def looks(path: Path, settings: FrameSettings = SETTINGS) -> tuple[list[Look], VideoFrames]:
    async with decoded(path, settings) as frames:
        return [look async for look in frames.looks()], frames


def picture(look: Look) -> Image.Image:
    return Image.open(io.BytesIO(look.jpeg))


async def test_looks_often_where_something_moves(tmp_path: Path) -> None:
    found, frames = await looks(write_video(tmp_path / "moving.mp4", seconds=3, rate=10))
    assert [look.at_s for look in found] == pytest.approx([0.2 * n for n in range(15)], abs=0.01)
    assert (frames.duration_s, frames.note) == (pytest.approx(3, abs=0.1), "")
    assert frames.read_s == pytest.approx(2.9, abs=0.01)
    assert picture(found[0]).size == SIZE
    assert found[0].small.shape == (SIZE[1], SIZE[0], 3)


async def test_of_many_frames_a_second_enough_are_decoded(tmp_path: Path) -> None:
    found, frames = await looks(write_video(tmp_path / "moving.mp4", seconds=3, rate=50, bf="3"))
    gaps = [later.at_s - look.at_s for look, later in pairwise(found)]
    assert min(gaps) >= 0.19
    assert max(gaps) < 0.3
    assert frames.note == ""


async def test_looks_seldom_where_nothing_does(tmp_path: Path) -> None:
    found, _ = await looks(write_video(tmp_path / "still.mp4", lambda _: still(), seconds=3))
    assert [round(look.at_s) for look in found] == [0, 1, 2]


async def test_looks_at_a_new_scene_at_once_and_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mp4", lambda at_s: still(60 if at_s < 0.5 else 220), seconds=1)
    found, _ = await looks(path)
    assert [(round(look.at_s, 2), look.cut) for look in found] == [(0.0, False), (0.52, True)]


@pytest.mark.parametrize(("rotation", "light"), [(90, (0, 1)), (-90, (1, 0)), (180, (1, 1))])
async def test_a_phone_video_is_upright(tmp_path: Path, rotation: int, light: tuple[int, int]) -> None:
    """The square in the corner of what was recorded goes where a player shows it."""
    path = write_video(tmp_path / "phone.mp4", lambda _: still(), seconds=0.2, rotation=rotation)
    found, frames = await looks(path)
    shown = picture(found[0])
    assert shown.size == ((frames.width, frames.height) if rotation == 180 else (SIZE[1], SIZE[0]))
    assert (frames.width, frames.height) == shown.size
    width, height = shown.size
    corners = {
        (x, y): shown.getpixel((16 + x * (width - 32), 16 + y * (height - 32)))[0] for x in (0, 1) for y in (0, 1)
    }
    assert max(corners, key=lambda corner: corners[corner]) == light


async def test_frames_come_at_their_own_times(tmp_path: Path) -> None:
    times = [0, 0.04, 0.3, 0.31, 0.9, 1.4, 1.45, 2.0]
    found, _ = await looks(write_video(tmp_path / "variable.mkv", times=iter(times)))
    assert [look.at_s for look in found] == pytest.approx([0, 0.3, 0.9, 1.4, 2.0], abs=0.002)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
async def test_high_dynamic_range_in_10_bits_is_brought_to_8(tmp_path: Path, transfer: str) -> None:
    path = write_video(
        tmp_path / "hdr.mp4",
        moving,
        seconds=0.4,
        codec="libx265",
        pixels="yuv420p10le",
        **{"x265-params": f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"},
    )
    found, _ = await looks(path)
    levels = [level for _, level in picture(found[0]).convert("L").getcolors(2**16) or []]
    assert min(levels) < 40
    assert max(levels) > 150


async def test_a_truncated_video_keeps_what_could_be_read(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", seconds=4).read_bytes()
    (tmp_path / "half.mkv").write_bytes(whole[: len(whole) // 2])
    found, frames = await looks(tmp_path / "half.mkv")
    assert 4 < len(found) < 16
    assert "ends at" in frames.note or "could be read up to" in frames.note


async def test_broken_packets_are_passed_over(tmp_path: Path) -> None:
    content = bytearray(write_video(tmp_path / "whole.mkv", seconds=4).read_bytes())
    for at in range(len(content) // 3, len(content) // 2, 50):
        content[at] ^= 0xFF
    (tmp_path / "broken.mkv").write_bytes(bytes(content))
    found, _ = await looks(tmp_path / "broken.mkv")
    assert len(found) > 3


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty (0 bytes)"), (b"not a video" * 100, "is not a video"), (b"\x00" * 5000, "is not a video")],
)
async def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file.mp4").write_bytes(content)
    with pytest.raises(InvalidRequest, match="cannot be used") as caught:
        await looks(tmp_path / "file.mp4")
    assert says in caught.value.message
    assert caught.value.reason is Reason.INVALID_VIDEO


async def test_a_file_of_sound_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="has no video, only audio"):
        await looks(write_video(tmp_path / "song.mp4", audio_only=True))


async def test_frames_that_are_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="160x96 pixels; the limit is 1000"):
        await looks(write_video(tmp_path / "large.mp4"), FrameSettings(0.2, 1.0, 1000))


async def test_whoever_stops_early_leaves_no_process(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", seconds=20)
    async with decoded(path, FrameSettings(0.04, 1.0, 2**20)) as frames:
        async for _ in frames.looks():
            break
    # Leaving it has waited for the process; a second one still works.
    assert len((await looks(path))[0]) > 10
