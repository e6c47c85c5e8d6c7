"""What was stored is read as it was, whatever the video is called."""

from pathlib import Path

import pytest
from test_moments import track, video

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.routing import Routing
from framelens_gateway.videos.moments import MomentPolicy, Moments
from framelens_gateway.videos.store import VideoStore, sweep_videos


def named(video_id: str, *tracks: pb.Track, account: str = "a") -> pb.StoredVideo:
    stored = video(*tracks)
    stored.video.id, stored.video.account = video_id, account
    return stored


@pytest.mark.parametrize(
    "video_id", ["v", "..", ".", "a/b", "../../etc", 'x" or 1', "视频" * 13, "%2E", "a" * 80, "." * 80]
)
async def test_any_id_is_a_file_of_its_own(video_store: VideoStore, tmp_path: Path, video_id: str) -> None:
    await video_store.save(named(video_id, track(1, 5)))
    assert (await video_store.read(video_id)) == named(video_id, track(1, 5))
    assert (await video_store.moments(video_id)).video_id == video_id
    assert all(file.parent.parent == tmp_path / "videos" for file in tmp_path.rglob("*") if file.is_file())
    await video_store.delete(video_id)
    assert await video_store.read(video_id) is None
    assert await video_store.moments(video_id) is None
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


async def test_pages_are_in_the_order_of_ids(video_store: VideoStore) -> None:
    for number in range(7):
        await video_store.save(named(f"v{number}", track(1, 2), account="ab"[number % 2]))
    first = await video_store.page("", "", 3)
    assert [each.video.id for each in first] == ["v0", "v1", "v2"]
    assert not first[0].tracks
    assert [each.video.id for each in await video_store.page("v2", "", 9)] == ["v3", "v4", "v5", "v6"]
    assert [each.video.id for each in await video_store.page("v2", "b", 9)] == ["v3", "v5"]


async def test_another_policy_needs_no_decoding(tmp_path: Path, moments: Moments) -> None:
    await VideoStore(tmp_path, moments).save(named("v", track(1, 5)))
    rules = MomentPolicy.load(None)
    strict = rules.model_copy(update={"salience": rules.salience.model_copy(update={"least": 1.0})})
    found = await VideoStore(tmp_path, Moments.by(strict, Routing.load(None))).moments("v")
    assert not found.moments
    assert (await VideoStore(tmp_path, moments).moments("v")).moments


async def test_moments_that_a_crash_left_out_are_computed(video_store: VideoStore, tmp_path: Path) -> None:
    await video_store.save(named("v", track(1, 5)))
    (file,) = (tmp_path / "videos").rglob("*.moments")
    kept = await video_store.moments("v")
    file.unlink()
    assert await video_store.moments("v") == kept


async def test_a_sweep_removes_what_killed_gateways_left(tmp_path: Path) -> None:
    import os

    for folder in ("arriving", "ab"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tmpx").write_bytes(b"half")
        os.utime(tmp_path / folder / "tmpx", (0, 0))
    await sweep_videos(tmp_path)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
