"""Videos and their moments, by both clients (`connect`)."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from framelens_client import (
    IndexProgress,
    InvalidRequest,
    InvalidVideo,
    NotFound,
    ServerFailed,
    Video,
    as_json,
    video_messages,
)
from framelens_client.v1 import framelens_pb2 as pb
from framelens_client.video_file import CHUNK_BYTES

KITCHEN = Video("v1", "ann", "Ann's kitchen", "http://v/1", 1000.5)
CONTENT = bytes(range(256)) * 2048 + b"end"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "v1.mp4"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("source", [lambda path: path, lambda path: path.read_bytes(), lambda path: path.open("rb")])
def test_a_video_is_sent_in_chunks_after_its_header(
    gateway: Any, connect: Callable[..., Any], file: Path, source: Callable[[Path], Any]
) -> None:
    sizes: list[int] = []
    gateway.on_chunk = sizes.append
    seen: list[IndexProgress] = []
    opened = source(file)
    last = connect().index_video(KITCHEN, opened, on_progress=seen.append)
    if isinstance(opened, io.IOBase):
        opened.close()
    header = gateway.calls[0].request
    assert header == pb.IndexVideoHeader(
        video=pb.Video(id="v1", account="ann", title="Ann's kitchen", url="http://v/1", published_at=1000.5),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    assert gateway.received == CONTENT
    assert sizes == [CHUNK_BYTES, 2 * CHUNK_BYTES, len(CONTENT)]
    assert [progress.state for progress in seen] == ["receiving", "indexing", "stored"]
    assert seen[-1] is last
    assert (last.stored.video, last.stored.sha256) == (KITCHEN, header.sha256)


def test_an_open_file_is_sent_from_where_it_stands(gateway: Any, connect: Callable[..., Any], file: Path) -> None:
    with file.open("rb") as opened:
        opened.seek(100)
        connect().index_video(KITCHEN, opened)
    assert gateway.received == CONTENT[100:]
    assert gateway.calls[0].request.sha256 == hashlib.sha256(CONTENT[100:]).hexdigest()


def test_what_is_stored_already_is_not_sent_again(gateway: Any, connect: Callable[..., Any]) -> None:
    large = b"x" * 40_000_000
    digest = hashlib.sha256(large).hexdigest()
    gateway.videos["v1"] = pb.StoredVideo(video=pb.Video(id="v1", account="ann"), sha256=digest)
    last = connect().index_video(KITCHEN, large)
    assert (last.state, last.stored.video.published_at) == ("unchanged", None)
    assert gateway.received == b""
    assert connect().index_video(KITCHEN, b"short", again=True).state == "stored"


def test_a_file_of_the_server(gateway: Any, connect: Callable[..., Any]) -> None:
    connect().index_video(KITCHEN, server_path="/videos/v1.mp4", again=True)
    header = gateway.calls[0].request
    assert (header.path, header.sha256, header.again) == ("/videos/v1.mp4", "", True)
    assert gateway.received == b""


@pytest.mark.parametrize("named", [{}, {"source": b"x", "server_path": "/x"}])
def test_a_video_has_one_source(gateway: Any, connect: Callable[..., Any], named: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one source"):
        connect().index_video(KITCHEN, **named)
    assert gateway.calls == []


def test_a_video_that_is_refused(gateway: Any, connect: Callable[..., Any], fail: Callable[..., Any]) -> None:
    gateway.failures += [fail(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VIDEO", "no video stream")]
    with pytest.raises(InvalidVideo, match="no video stream"):
        connect().index_video(KITCHEN, b"x" * 10_000_000)
    with pytest.raises(InvalidRequest, match="the request cannot be sent"):
        connect().index_video(Video("\udcff", "ann"), b"x")


def test_a_file_that_is_missing_is_no_call(gateway: Any, connect: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect().index_video(KITCHEN, tmp_path / "missing.mp4")
    assert gateway.calls == []


def test_a_call_that_does_not_say_what_is_stored_has_failed() -> None:
    for last in (None, IndexProgress("receiving", 0, 0, 0, 0, None)):
        with pytest.raises(ServerFailed, match="without saying what is stored"):
            video_messages.finished(last)


def test_videos(gateway: Any, connect: Callable[..., Any], stored_video: pb.StoredVideo) -> None:
    client = connect()
    gateway.videos["v1"] = stored_video
    stored = client.video("v1")
    assert stored.video == KITCHEN
    assert stored.tracks[0].sightings[0].box.x_max == 0.5
    assert client.delete_video("v1")
    assert not client.delete_video("v1")
    for ask in (client.video, client.moments):
        with pytest.raises(NotFound, match='no video "v1"'):
            ask("v1")


def test_all_videos_turns_the_pages(gateway: Any, connect: Callable[..., Any]) -> None:
    for n in range(7):
        gateway.videos[f"v{n}"] = pb.StoredVideo(video=pb.Video(id=f"v{n}", account="ann" if n % 2 else "bob"))
    client = connect()
    assert [stored.video.id for stored in client.all_videos(page_size=3)] == [f"v{n}" for n in range(7)]
    assert len(gateway.calls) == 3
    page = client.list_videos(account="ann", page_size=2)
    assert ([stored.video.id for stored in page.videos], page.next_page_token) == (["v1", "v3"], "v3")


def test_moments(gateway: Any, connect: Callable[..., Any], stored_video: pb.StoredVideo) -> None:
    client = connect()
    gateway.videos["v1"] = stored_video
    moments = client.moments("v1")
    assert [(span.start_s, span.end_s) for span in moments.button] == [(60.5, 70.25)]
    assert (moments.moments[0].label, moments.moments[0].salience) == ("cup", 0.625)
    batch = client.batch_moments(["v1", "v9"])
    assert (batch.videos, batch.missing) == ((moments,), ("v9",))
    assert client.picture("v1/1") == b"picture of v1/1"


def test_nothing_of_a_video_is_dropped(stored_video: pb.StoredVideo, video_moments: pb.VideoMoments) -> None:
    unfinished = pb.StoredVideo(video=pb.Video(id="v2"))
    page = pb.ListVideosResponse(videos=[stored_video, unfinished], next_page_token="v2")  # noqa: S106
    batch = pb.BatchGetMomentsResponse(videos=[video_moments], missing=["v9"])
    progress = pb.IndexVideoProgress(state="stored", position_s=1.5, duration_s=2.5, frames=3, stored=stored_video)
    for value, message in (
        (video_messages.stored_video(stored_video), stored_video),
        (video_messages.video_page(page), page),
        (video_messages.moments(video_moments), video_moments),
        (video_messages.batch_moments(batch), batch),
        (video_messages.progress(progress), progress),
    ):
        assert as_json(value) == MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
