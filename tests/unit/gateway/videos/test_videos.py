"""A video is stored whole or not at all, once, and goes without a trace."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway_fakes import SPACE, FakeIndex, FakeRecognizer, Fault, embedding, embedding_in
from made_videos import moving, write_video
from PIL import Image

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest, NotFound, Unavailable
from framelens_gateway.recognizer import Box, FoundObject, RecognizerCall
from framelens_gateway.videos.store import VideoStore
from framelens_gateway.videos.videos import Videos

COLLECTION = f"videos__{SPACE}"


class SquareRecognizer(FakeRecognizer):
    """Finds the light square of made videos."""

    def _objects(self, call: RecognizerCall) -> list[FoundObject]:
        if call.regions is not None:
            return super()._objects(call)
        light = np.asarray(Image.open(io.BytesIO(call.picture)).convert("L")) > 120
        rows, columns = np.flatnonzero(light.any(1)), np.flatnonzero(light.any(0))
        if not rows.size:
            return []
        height, width = light.shape
        box = Box(columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)
        return [FoundObject("cup", 0.9, box, embedding(b"square"))]


@pytest.fixture
def recognizer() -> SquareRecognizer:
    return SquareRecognizer()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=2, rate=10).read_bytes()


def header(video_id: str = "v", account: str = "ann", **fields: Any) -> pb.IndexVideoHeader:
    return pb.IndexVideoHeader(video=pb.Video(id=video_id, account=account), **fields)


async def requests(head: pb.IndexVideoHeader | None, content: bytes = b"") -> AsyncIterator[pb.IndexVideoRequest]:
    if head is not None:
        yield pb.IndexVideoRequest(header=head)
    for at in range(0, len(content), 1000):
        yield pb.IndexVideoRequest(chunk=content[at : at + 1000])


async def index_video(videos: Videos, head: pb.IndexVideoHeader, content: bytes = b"") -> list[pb.IndexVideoProgress]:
    return [progress async for progress in videos.index(requests(head, content), None)]


def rows(index: FakeIndex) -> list[dict[str, Any]]:
    return list(index.rows.get(COLLECTION, {}).values())


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


async def test_stores_a_row_a_crop_and_the_moment_of_what_is_in_view(
    videos: Videos, index: FakeIndex, tmp_path: Path, clip: bytes, soon: Deadline
) -> None:
    said = await index_video(videos, header(), clip)
    assert [said[0].state, said[-1].state] == ["receiving", "stored"]
    stored = said[-1].stored
    (track,) = stored.tracks
    assert (track.label, len(track.sightings), stored.note) == ("cup", 10, "")
    assert (stored.size.width, stored.size.height, stored.frames) == (160, 96, 10)
    assert stored.sha256 == hashlib.sha256(clip).hexdigest()
    (row,) = rows(index)
    assert (row["video_id"], row["account"], row["label"]) == ("v", "ann", "cup")
    assert (row["start_s"], row["end_s"]) == (track.sightings[0].at_s, track.sightings[-1].at_s)
    assert files(tmp_path / "crops") == [f"{row['picture_id']}.jpg"]
    assert not files(tmp_path / "arriving")
    assert await videos.get(pb.GetVideoRequest(id="v"), soon) == stored
    moments = await videos.moments(pb.GetMomentsRequest(video_id="v"), soon)
    assert [moment.label for moment in moments.moments] == ["cup"]


async def test_the_same_again_is_left_as_it_is(videos: Videos, index: FakeIndex, clip: bytes) -> None:
    first = (await index_video(videos, header(), clip))[-1].stored
    digest = hashlib.sha256(clip).hexdigest()
    (told,) = await index_video(videos, header(sha256=digest))
    assert (told.state, told.stored) == ("unchanged", first)
    again = await index_video(videos, header(), clip)
    assert (again[-1].state, again[-1].stored) == ("unchanged", first)
    assert (await index_video(videos, header(sha256=digest, again=True), clip))[-1].state == "stored"
    changed = header(sha256=digest)
    changed.video.title = "Another title"
    assert (await index_video(videos, changed, clip))[-1].state == "stored"
    assert [row["title"] for row in rows(index)] == ["Another title"]


async def test_another_file_takes_the_place_of_the_first(
    videos: Videos, index: FakeIndex, tmp_path: Path, clip: bytes
) -> None:
    before = (await index_video(videos, header(), clip))[-1].stored
    other = write_video(tmp_path / "other.mp4", lambda at_s: moving(at_s + 1), seconds=1).read_bytes()
    after = (await index_video(videos, header(), other))[-1].stored
    assert after.tracks[0].picture_id != before.tracks[0].picture_id
    assert [row["picture_id"] for row in rows(index)] == [after.tracks[0].picture_id]
    assert files(tmp_path / "crops") == [f"{after.tracks[0].picture_id}.jpg"]


async def test_a_path_on_the_server(videos: Videos, tmp_path: Path, clip: bytes) -> None:
    folder = tmp_path / "on_server"
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(clip)
    assert (await index_video(videos, header(path=str(folder / "clip.mp4"))))[-1].state == "stored"
    assert (folder / "clip.mp4").exists()
    (tmp_path / "secret.mp4").write_bytes(clip)
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    for path in (tmp_path / "secret.mp4", folder / "link.mp4", folder / ".." / "secret.mp4"):
        with pytest.raises(InvalidRequest, match="video_dirs"):
            await index_video(videos, header("w", path=str(path)))
    with pytest.raises(InvalidRequest, match="no file"):
        await index_video(videos, header("w", path=str(folder / "none.mp4")))


@pytest.mark.parametrize(
    ("head", "content", "says", "reason"),
    [
        (None, b"", "first request", Reason.INVALID_VIDEO),
        (header(""), b"", "without id", Reason.INVALID_VIDEO),
        (header("x" * 81), b"", "81 bytes", Reason.INVALID_VIDEO),
        (header("a\nb"), b"", "control characters", Reason.INVALID_VIDEO),
        (header(account=""), b"", "no account", Reason.INVALID_VIDEO),
        (header(sha256="abc"), b"", "64 hexadecimal", Reason.INVALID_VIDEO),
        (header(sha256="0" * 64), b"bytes", "send them again", Reason.INVALID_VIDEO),
        (header(), b"", "empty (0 bytes)", Reason.INVALID_VIDEO),
        (header(), b"no video" * 100, "is not a video", Reason.INVALID_VIDEO),
        (header(), b"x" * (2**20 + 1), "limit of 1048576", Reason.VIDEO_TOO_LARGE),
    ],
)
async def test_what_cannot_be_indexed(
    videos: Videos, tmp_path: Path, head: pb.IndexVideoHeader | None, content: bytes, says: str, reason: Reason
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        [_ async for _ in videos.index(requests(head, content), None)]
    assert says in caught.value.message
    assert caught.value.reason is reason
    assert not files(tmp_path)


@pytest.mark.parametrize("method", ["upsert", "delete"])
async def test_a_failure_leaves_what_was_stored_before(
    videos: Videos, index: FakeIndex, tmp_path: Path, clip: bytes, soon: Deadline, method: str
) -> None:
    before = (await index_video(videos, header(), clip))[-1].stored
    other = write_video(tmp_path / "other.mp4", lambda at_s: moving(at_s + 1), seconds=1).read_bytes()
    index.fail(method, Unavailable(Reason.MILVUS_UNAVAILABLE, "Milvus is away"))
    with pytest.raises(Unavailable):
        await index_video(videos, header(), other)
    index.faults.clear()
    if method == "upsert":
        assert await videos.get(pb.GetVideoRequest(id="v"), soon) == before
        assert files(tmp_path / "crops") == [f"{before.tracks[0].picture_id}.jpg"]
    stored = (await index_video(videos, header(), other))[-1].stored
    assert [row["picture_id"] for row in rows(index)] == [stored.tracks[0].picture_id]


async def test_a_caller_who_goes_leaves_nothing(
    videos: Videos, index: FakeIndex, recognizer: SquareRecognizer, tmp_path: Path, clip: bytes
) -> None:
    recognizer.fault = Fault(gate=asyncio.Event())
    indexing = asyncio.ensure_future(index_video(videos, header(), clip))
    while not recognizer.calls:
        await asyncio.sleep(0.01)
    indexing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await indexing
    assert not rows(index)
    assert not files(tmp_path)
    assert recognizer.running == 0


async def test_a_video_without_anything_in_view_is_stored_and_has_no_moment(
    videos: Videos, tmp_path: Path, soon: Deadline
) -> None:
    dark = write_video(tmp_path / "dark.mp4", lambda at_s: moving(at_s) * 0, seconds=1).read_bytes()
    assert (await index_video(videos, header(), dark))[-1].state == "stored"
    moments = await videos.moments(pb.GetMomentsRequest(video_id="v"), soon)
    assert not moments.moments
    assert not moments.button


async def test_every_collection_that_can_become_the_live_one_has_the_rows(
    videos: Videos, index: FakeIndex, recognizer: SquareRecognizer, clip: bytes
) -> None:
    index.add_collection("videos")
    index.add_collection("videos__next", "embedder_next")
    await index_video(videos, header(), clip)
    (live,), (coming,) = (list(index.rows[index.aliases[name].name].values()) for name in ("videos", "videos__next"))
    assert live["row_id"] == coming["row_id"]
    assert not np.allclose(live["embedding"], coming["embedding"])


async def test_a_collection_that_comes_meanwhile_is_filled(
    videos: Videos, index: FakeIndex, recognizer: SquareRecognizer, clip: bytes
) -> None:
    index.add_collection("videos")
    said = []
    async for progress in videos.index(requests(header(), clip), None):
        said.append(progress.state)
        if progress.state == "receiving":
            continue
        index.add_collection("videos__next", "embedder_next")
    (row,) = index.rows[index.aliases["videos__next"].name].values()
    assert row["embedding"] == pytest.approx(embedding_in("embedder_next", recognizer.calls[-1].picture[8:]), abs=1e-6)


async def test_deletes_all_of_it(
    videos: Videos, index: FakeIndex, video_store: VideoStore, tmp_path: Path, clip: bytes, soon: Deadline
) -> None:
    await index_video(videos, header("other"), clip)
    kept = files(tmp_path)
    await index_video(videos, header(), clip)
    assert (await videos.delete(pb.DeleteVideoRequest(id="v"), soon)).deleted
    assert [row["video_id"] for row in rows(index)] == ["other"]
    assert files(tmp_path) == kept
    assert not (await videos.delete(pb.DeleteVideoRequest(id="v"), soon)).deleted
    with pytest.raises(NotFound, match="video v is not stored"):
        await videos.get(pb.GetVideoRequest(id="v"), soon)
    with pytest.raises(NotFound):
        await videos.moments(pb.GetMomentsRequest(video_id="v"), soon)


async def test_lists_and_reads_many(videos: Videos, clip: bytes) -> None:
    soon = Deadline.after(60)
    for number in range(3):
        await index_video(videos, header(f"v{number}", account="ann" if number else "bob"), clip)
    page = await videos.list_videos(pb.ListVideosRequest(page_size=2), soon)
    assert [each.video.id for each in page.videos] == ["v0", "v1"]
    rest = await videos.list_videos(pb.ListVideosRequest(page_size=2, page_token=page.next_page_token), soon)
    assert ([each.video.id for each in rest.videos], rest.next_page_token) == (["v2"], "")
    own = await videos.list_videos(pb.ListVideosRequest(account="bob"), soon)
    assert [each.video.id for each in own.videos] == ["v0"]
    many = await videos.batch_moments(pb.BatchGetMomentsRequest(video_ids=["v2", "none", "v0"]), soon)
    assert ([each.video_id for each in many.videos], many.missing) == (["v2", "v0"], ["none"])
    for wrong in ([], ["v"] + [str(n) for n in range(100)], [""]):
        with pytest.raises(InvalidRequest):
            await videos.batch_moments(pb.BatchGetMomentsRequest(video_ids=wrong), soon)
