"""The core of videos: index, read, list and delete them, and say when the feed offers recognition."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack
from weakref import WeakValueDictionary

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import validation
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest, NotArrived, NotFound
from framelens_gateway.pages import page_token, position_of
from framelens_gateway.recognizer import FoundObject, Recognizer, RecognizerCall
from framelens_gateway.videos.arriving import Arriving, VideoFile
from framelens_gateway.videos.following import Follower, Step
from framelens_gateway.videos.frames import FrameSettings, VideoFrames, decoded
from framelens_gateway.videos.store import VideoStore
from framelens_gateway.videos.tracks import FAINT_SCORE
from framelens_gateway.videos.writes import Indexing, VideoWrites

_PAGE_KIND = "videos"
_MAX_OBJECTS = 32
# Boxes alone: things are followed by where they are and their colours, and embedded once, where they show best.
_NO_EMBEDDER = ""
# One recognition of a frame, at most.
_LOOK_S = 30.0
_SAID_EVERY_S = 0.5
# Over HTTP all of the file arrives before its header is read.
_HEADER_S = 900.0


class Videos:
    """Videos and their moments; knows neither gRPC nor HTTP."""

    def __init__(
        self,
        recognizer: Recognizer,
        writes: VideoWrites,
        store: VideoStore,
        arriving: Arriving,
        frames: FrameSettings,
        detector: str,
    ) -> None:
        self._recognizer, self._writes, self._store = recognizer, writes, store
        self._arriving, self._frames, self._detector = arriving, frames, detector
        # Two indexings of one video take turns.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def index(
        self, requests: AsyncIterator[pb.IndexVideoRequest], _: Deadline | None
    ) -> AsyncGenerator[pb.IndexVideoProgress, None]:
        """Stores what is in view in a video, in place of what was stored of it. Raises GatewayError."""
        header = await _header(requests)
        validation.video(header)
        if not header.path and (same := await self._unchanged(header, header.sha256)):
            yield same
            return
        async with AsyncExitStack() as stack:
            if header.path:
                file = await self._arriving.on_server(header.path)
            else:
                yield pb.IndexVideoProgress(state="receiving")
                file = await stack.enter_async_context(self._arriving.in_chunks(_chunks(requests)))
                _check_digest(header, file)
            await stack.enter_async_context(self._turn(header.video.id))
            if same := await self._unchanged(header, file.sha256):
                yield same
                return
            async for progress in self._index(header.video, file):
                yield progress

    async def delete(self, request: pb.DeleteVideoRequest, deadline: Deadline) -> pb.DeleteVideoResponse:
        """Raises InvalidRequest, Unavailable."""
        video_id = validation.video_id(request.id)
        deadline.remaining("deleting")
        async with self._turn(video_id):
            return pb.DeleteVideoResponse(deleted=await self._writes.delete(video_id))

    async def get(self, request: pb.GetVideoRequest, deadline: Deadline) -> pb.StoredVideo:
        """Raises InvalidRequest, NotFound."""
        deadline.remaining("reading")
        stored = await self._store.read(validation.video_id(request.id))
        if stored is None:
            raise _not_stored(request.id)
        return stored

    async def list_videos(self, request: pb.ListVideosRequest, deadline: Deadline) -> pb.ListVideosResponse:
        """One page in the order of ids. Raises InvalidRequest."""
        size = validation.page_size(request)
        after = position_of(request.page_token, _PAGE_KIND, str) or ""
        deadline.remaining("reading")
        found = await self._store.page(after, request.account, size + 1)
        return pb.ListVideosResponse(
            videos=found[:size],
            next_page_token=page_token(_PAGE_KIND, found[size - 1].video.id) if len(found) > size else "",
        )

    async def moments(self, request: pb.GetMomentsRequest, deadline: Deadline) -> pb.VideoMoments:
        """Raises InvalidRequest, NotFound."""
        deadline.remaining("reading")
        found = await self._store.moments(validation.video_id(request.video_id))
        if found is None:
            raise _not_stored(request.video_id)
        return found

    async def batch_moments(self, request: pb.BatchGetMomentsRequest, deadline: Deadline) -> pb.BatchGetMomentsResponse:
        """Raises InvalidRequest."""
        ids = validation.video_ids(request.video_ids)
        deadline.remaining("reading")
        found = dict(zip(ids, await self._store.all_moments(ids), strict=True))
        return pb.BatchGetMomentsResponse(
            videos=[moments for moments in found.values() if moments is not None],
            missing=[video_id for video_id, moments in found.items() if moments is None],
        )

    def _turn(self, video_id: str) -> asyncio.Lock:
        return self._turns.setdefault(video_id, asyncio.Lock())

    async def _unchanged(self, header: pb.IndexVideoHeader, sha256: str) -> pb.IndexVideoProgress | None:
        stored = None if header.again or not sha256 else await self._store.read(header.video.id)
        if stored is None or stored.sha256 != sha256 or not _says_the_same(header.video, stored.video):
            return None
        return pb.IndexVideoProgress(
            state="unchanged",
            position_s=stored.duration_s,
            duration_s=stored.duration_s,
            frames=stored.frames,
            tracks=len(stored.tracks),
            stored=stored,
        )

    async def _index(self, wanted: pb.Video, file: VideoFile) -> AsyncGenerator[pb.IndexVideoProgress, None]:
        video = pb.Video()
        video.CopyFrom(wanted)
        if not video.HasField("published_at"):
            video.published_at = time.time()
        indexing = await self._writes.begin(video)
        try:
            async with decoded(file.path, self._frames) as frames:
                looked = 0
                async for progress in self._follow(indexing, frames):
                    looked = progress.frames
                    yield progress
            stored = await self._writes.finish(indexing, _stored(indexing, frames, looked, file.sha256))
        except BaseException:
            await asyncio.shield(self._writes.undo(indexing))
            raise
        progress = pb.IndexVideoProgress(
            state="stored", position_s=frames.read_s, duration_s=frames.read_s, frames=looked, stored=stored
        )
        progress.tracks = len(stored.tracks)
        yield progress

    async def _follow(self, indexing: Indexing, frames: VideoFrames) -> AsyncGenerator[pb.IndexVideoProgress, None]:
        async def recognise(jpeg: bytes) -> Sequence[FoundObject]:
            call = RecognizerCall(
                jpeg,
                _NO_EMBEDDER,
                min_score=FAINT_SCORE,
                max_objects=_MAX_OBJECTS,
                detector=self._detector,
            )
            return (await self._recognizer.recognize(call, Deadline.after(_LOOK_S))).objects

        said_at, step = 0.0, Step(0, 0.0, [])
        async for step in Follower(recognise).steps(frames):
            await self._writes.add(indexing, step.over)
            if time.monotonic() - said_at > _SAID_EVERY_S:
                said_at = time.monotonic()
                yield _progress(frames, step, len(indexing.tracks))
        yield _progress(frames, step, len(indexing.tracks))


def _progress(frames: VideoFrames, step: Step, tracks: int) -> pb.IndexVideoProgress:
    return pb.IndexVideoProgress(
        state="indexing", position_s=step.at_s, duration_s=frames.duration_s, frames=step.looks, tracks=tracks
    )


def _stored(indexing: Indexing, frames: VideoFrames, looked: int, sha256: str) -> pb.StoredVideo:
    return pb.StoredVideo(
        video=indexing.video,
        duration_s=frames.read_s,
        size=pb.PictureSize(width=frames.width, height=frames.height),
        frames=looked,
        note=frames.note,
        indexed_at=time.time(),
        sha256=sha256,
    )


async def _header(requests: AsyncIterator[pb.IndexVideoRequest]) -> pb.IndexVideoHeader:
    """Raises InvalidRequest, NotArrived."""
    try:
        async with asyncio.timeout(_HEADER_S):
            request = await anext(requests, None)
    except TimeoutError as error:
        raise NotArrived(_HEADER_S) from error
    if request is None or request.WhichOneof("part") != "header":
        raise InvalidRequest("the first request of IndexVideo is its header", Reason.INVALID_VIDEO)
    return request.header


async def _chunks(requests: AsyncIterator[pb.IndexVideoRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if request.WhichOneof("part") != "chunk":
            raise InvalidRequest("IndexVideo has one header; what follows it are chunks", Reason.INVALID_VIDEO)
        yield request.chunk


def _check_digest(header: pb.IndexVideoHeader, file: VideoFile) -> None:
    if header.sha256 and header.sha256.lower() != file.sha256:
        raise InvalidRequest(
            f"the bytes that arrived have SHA-256 {file.sha256}, and the header says {header.sha256}; send them again",
            Reason.INVALID_VIDEO,
        )


def _says_the_same(wanted: pb.Video, stored: pb.Video) -> bool:
    return all(getattr(wanted, name) == getattr(stored, name) for name in ("account", "title", "url")) and (
        not wanted.HasField("published_at") or wanted.published_at == stored.published_at
    )


def _not_stored(video_id: str) -> NotFound:
    return NotFound(f"video {video_id} is not stored; index it first")
