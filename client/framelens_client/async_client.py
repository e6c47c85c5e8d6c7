"""The asyncio client."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, cast, overload

import grpc
from google.protobuf.message import Message

from framelens_client import channel, errors, video_messages
from framelens_client.calls import INDEX_VIDEO, RECOGNIZE_STREAM, Call, Calls, StreamCall
from framelens_client.frames import RecognizeOptions, RelatedOptions, StreamAnswer, StreamFrame
from framelens_client.health import SERVICES, Health, health_of
from framelens_client.results import (
    Box,
    Deletion,
    Filter,
    ProductPage,
    ProductUpdate,
    ProductUpsert,
    Recognition,
    RegionSearch,
    StoredProduct,
    Upsert,
    UpsertResult,
)
from framelens_client.sending import AsyncSending
from framelens_client.settings import Connection, Retries, Timeouts
from framelens_client.trials import Bounds, Trial
from framelens_client.video_file import VideoSource, video_file
from framelens_client.videos import BatchMoments, IndexProgress, StoredVideo, Video, VideoMoments, VideoPage

Result = TypeVar("Result")


class AsyncClient:
    """Client's twin for asyncio: make and use it in one event loop. Every method raises FrameLensError.

    A `timeout_s` replaces the client's default and covers the whole call, retries included. `picture` is an encoded
    picture or the path of one. Cancelling a task cancels its call on the server.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (frozen)
        retries: Retries = Retries(),  # noqa: B008 (frozen)
    ) -> None:
        self._connection = Connection(address, token, credentials)
        self._calls = Calls(timeouts, retries)
        self._channel = (
            grpc.aio.secure_channel(address, credentials, channel.OPTIONS)
            if credentials
            else grpc.aio.insecure_channel(address, channel.OPTIONS)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls in flight are cancelled."""
        await self._channel.close(None)

    async def recognize(
        self,
        picture: bytes | Path | None = None,
        *,
        top_k: int | None = None,
        min_score: float | None = None,
        filter: Filter | None = None,  # noqa: A002 (the contract's word)
        use_boost: bool = False,
        min_object_score: float | None = None,
        max_objects: int | None = None,
        key: str = "",
        video_id: str = "",
        timestamp_s: float | None = None,
        fresh: bool = False,
        related: RelatedOptions | None = None,
        unnamed_objects: bool | None = None,
        timeout_s: float | None = None,
    ) -> Recognition:
        """Finds the objects in a frame and the matches of each.

        `key` says whose request it is, such as a user's id: in a canary, one key is answered by the same engines. No
        picture is needed where a stored moment covers `timestamp_s` of `video_id`; `fresh` looks at the picture all the
        same.
        """
        options = RecognizeOptions(
            top_k=top_k,
            min_score=min_score,
            filter=filter,
            use_boost=use_boost,
            min_object_score=min_object_score,
            max_objects=max_objects,
            key=key,
            video_id=video_id,
            timestamp_s=timestamp_s,
            fresh=fresh,
            related=related,
            unnamed_objects=unnamed_objects,
        )
        return await self._send(self._calls.recognize(await _content(picture), options), timeout_s)

    def recognize_stream(
        self, frames: AsyncIterable[StreamFrame], *, max_under_way: int = 32, timeout_s: float | None = None
    ) -> AsyncIterator[StreamAnswer]:
        """Recognises frames over one connection; answers come as they are ready, by the ids of their frames.

        The next of `frames` is taken once fewer than `max_under_way` wait for their answers.
        What `frames` raises is raised after the answers to what was sent. `timeout_s` is for all of the stream, which
        has no deadline without it and is never sent again.
        """
        sending = AsyncSending(self._frame_requests(frames), max_under_way)
        return self._stream(RECOGNIZE_STREAM, sending, timeout_s)

    async def search_region(
        self,
        picture: bytes | Path,
        region: Box,
        *,
        top_k: int | None = None,
        min_score: float | None = None,
        filter: Filter | None = None,  # noqa: A002 (the contract's word)
        use_boost: bool = False,
        page_token: str = "",
        key: str = "",
        timeout_s: float | None = None,
    ) -> RegionSearch:
        """Searches exactly this region; `page_token` of an earlier answer asks for the matches that follow."""
        content = await _content(picture)
        call = self._calls.search_region(content, region, top_k, min_score, filter, use_boost, page_token, key)
        return await self._send(call, timeout_s)

    async def moments(self, video_id: str, *, timeout_s: float | None = None) -> VideoMoments:
        """When the feed should offer recognition in a video, and of what. Raises NotFound."""
        return await self._send(self._calls.moments(video_id), timeout_s)

    async def batch_moments(self, video_ids: Iterable[str], *, timeout_s: float | None = None) -> BatchMoments:
        """The moments of 1 to 100 videos."""
        return await self._send(self._calls.batch_moments(tuple(video_ids)), timeout_s)

    async def picture(self, picture_id: str, *, timeout_s: float | None = None) -> bytes:
        """The crop behind the `picture_id` of a match, a moment or a reference picture, as JPEG. Raises NotFound."""
        return await self._send(self._calls.picture(picture_id), timeout_s)

    async def upsert_products(self, products: Iterable[ProductUpsert], *, timeout_s: float | None = None) -> Upsert:
        """Adds or replaces 1 to 64 products; the answer says for each whether it is stored."""
        return await self._send(self._calls.upsert_products(tuple(products)), timeout_s)

    async def update_products(
        self, updates: Iterable[ProductUpdate], *, timeout_s: float | None = None
    ) -> tuple[UpsertResult, ...]:
        """Changes 1 to 1000 stored products without their pictures; one result for each, in their order."""
        return await self._send(self._calls.update_products(tuple(updates)), timeout_s)

    async def delete_products(self, ids: Iterable[str], *, timeout_s: float | None = None) -> Deletion:
        """Deletes 1 to 1000 products."""
        return await self._send(self._calls.delete_products(tuple(ids)), timeout_s)

    async def get_product(self, product_id: str, *, timeout_s: float | None = None) -> StoredProduct:
        """Raises NotFound."""
        return await self._send(self._calls.get_product(product_id), timeout_s)

    async def list_products(
        self,
        *,
        filter: Filter | None = None,  # noqa: A002 (the contract's word)
        page_size: int | None = None,
        page_token: str = "",
        timeout_s: float | None = None,
    ) -> ProductPage:
        """One page of 1 to 1000 products."""
        return await self._send(self._calls.list_products(filter, page_size, page_token), timeout_s)

    async def all_products(
        self,
        *,
        filter: Filter | None = None,  # noqa: A002 (the contract's word)
        page_size: int | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[StoredProduct]:
        """Products of all pages, fetched as they are needed; `timeout_s` is for each page."""
        page_token = ""
        while True:
            page = await self.list_products(
                filter=filter, page_size=page_size, page_token=page_token, timeout_s=timeout_s
            )
            for stored in page.products:
                yield stored
            page_token = page.next_page_token
            if not page_token:
                return

    async def index_video(
        self,
        video: Video,
        source: VideoSource | None = None,
        *,
        server_path: str | None = None,
        again: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        timeout_s: float | None = None,
    ) -> IndexProgress:
        """Indexes what is in view in a video, in place of what was stored of it; the result says what is stored.

        `source` is the path of a file, its bytes, or a file that can be read twice; `server_path`, in its place, is a
        file on the server. Where just this file is stored already, nothing is done unless `again`. There is no deadline
        without `timeout_s`; the call is never sent again. Raises ValueError unless exactly one of both is given.
        """
        file = video_file(source, server_path)
        header = self._calls.index_header(
            video, await asyncio.to_thread(file.sha256) if file else "", server_path, again
        )
        sending = AsyncSending(_in_thread(video_messages.index_requests(header, file)))
        progress = None
        async with aclosing(self._stream(INDEX_VIDEO, sending, timeout_s)) as answers:
            async for progress in answers:
                if on_progress:
                    on_progress(progress)
        return video_messages.finished(progress)

    async def video(self, video_id: str, *, timeout_s: float | None = None) -> StoredVideo:
        """What is stored of a video, with its tracks. Raises NotFound."""
        return await self._send(self._calls.video(video_id), timeout_s)

    async def delete_video(self, video_id: str, *, timeout_s: float | None = None) -> bool:
        """Whether it was stored: false also when an attempt whose answer was lost had deleted it."""
        return await self._send(self._calls.delete_video(video_id), timeout_s)

    async def list_videos(
        self,
        *,
        account: str = "",
        page_size: int | None = None,
        page_token: str = "",
        timeout_s: float | None = None,
    ) -> VideoPage:
        """One page of 1 to 1000 videos, of one account where it is given."""
        return await self._send(self._calls.list_videos(account, page_size, page_token), timeout_s)

    async def all_videos(
        self, *, account: str = "", page_size: int | None = None, timeout_s: float | None = None
    ) -> AsyncIterator[StoredVideo]:
        """Videos of all pages, fetched as they are needed; `timeout_s` is for each page."""
        page_token = ""
        while True:
            page = await self.list_videos(
                account=account, page_size=page_size, page_token=page_token, timeout_s=timeout_s
            )
            for stored in page.videos:
                yield stored
            page_token = page.next_page_token
            if not page_token:
                return

    async def start_trial(
        self,
        kind: str,
        share: float,
        *,
        engine: str | None = None,
        space: str | None = None,
        bounds: Bounds | None = None,
        timeout_s: float | None = None,
    ) -> Trial:
        """Tries a candidate on the gateway that answers: `kind` is shadow or canary, `space` is next.

        Raises NotFound where the candidate is not there, ValueError unless exactly one is named.
        """
        return await self._send(self._calls.start_trial(kind, share, engine, space, bounds), timeout_s)

    async def stop_trial(self, *, timeout_s: float | None = None) -> Trial:
        """Ends the trial at once."""
        return await self._send(self._calls.stop_trial(), timeout_s)

    async def trial(self, *, timeout_s: float | None = None) -> Trial:
        """The trial that is running, or else the last one."""
        return await self._send(self._calls.trial(), timeout_s)

    async def health(self, *, timeout_s: float | None = None) -> Health:
        """What the gateway says of itself now; never retried. Raises Unreachable."""
        return health_of([await self._send(self._calls.health(service), timeout_s) for service in SERVICES])

    async def _send(self, call: Call[Result], timeout_s: float | None) -> Result:
        deadline = time.monotonic() + (call.timeout_s if timeout_s is None else timeout_s)
        attempt = 1
        while True:
            try:
                return call.result(*await self._attempt(call, deadline - time.monotonic()))
            except grpc.RpcError as failure:
                error = errors.of_call(cast(errors.FailedCall, failure))
                delay = call.retries.next_delay(attempt, error, deadline - time.monotonic())
                if delay is None:
                    raise error from failure
            await asyncio.sleep(delay)
            attempt += 1

    async def _attempt(self, call: Call[Result], timeout_s: float) -> tuple[object, ...]:
        """What the call's result is made of."""
        send = self._channel.unary_unary(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.answer.FromString,
        )
        sent = send(call.request, timeout=timeout_s, metadata=self._connection.metadata)
        answer = await sent
        return (answer, await sent.trailing_metadata()) if call.reads_trailers else (answer,)

    async def _stream(
        self, call: StreamCall[Result], sending: AsyncSending, timeout_s: float | None
    ) -> AsyncGenerator[Result, None]:
        open_stream = self._channel.stream_stream(
            call.method,
            request_serializer=call.request.SerializeToString,
            response_deserializer=call.answer.FromString,
        )
        answers = open_stream(None, timeout=timeout_s, metadata=self._connection.metadata)
        running = asyncio.create_task(sending.run(answers))
        try:
            async for answer in answers:
                sending.answered()
                yield call.result(answer)
        except grpc.RpcError as failure:
            raise errors.of_call(cast(errors.FailedCall, failure)) from failure
        finally:
            answers.cancel()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        if sending.failure:
            raise sending.failure

    async def _frame_requests(self, frames: AsyncIterable[StreamFrame]) -> AsyncIterator[Message]:
        async for frame in frames:
            yield self._calls.stream_request(frame, await _content(frame.picture))


async def _in_thread(requests: Iterator[Message]) -> AsyncIterator[Message]:
    while (request := await asyncio.to_thread(next, requests, None)) is not None:
        yield request


@overload
async def _content(picture: None) -> None: ...


@overload
async def _content(picture: bytes | Path) -> bytes: ...


async def _content(picture: bytes | Path | None) -> bytes | None:
    return await asyncio.to_thread(picture.read_bytes) if isinstance(picture, Path) else picture
