"""What every call passes through, on either face: token, admission, deadline, and an account of how it ended."""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from prometheus_client import Counter

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.admission import Admission
from framelens_gateway.catalog import Catalog
from framelens_gateway.deadline import EARLY_S, Deadline
from framelens_gateway.errors import DeadlineExceeded, GatewayError, InternalError, NotArrived, Unauthenticated
from framelens_gateway.metrics import Metrics
from framelens_gateway.pictures import Pictures
from framelens_gateway.recognize_stream import RecognizeStream
from framelens_gateway.settings import GatewaySettings
from framelens_gateway.tracing import call_span, part_span
from framelens_gateway.trials.search import Search
from framelens_gateway.trials.trials import Trials
from framelens_gateway.videos.videos import Videos

log = logging.getLogger(__name__)

_MAX_CONTROL_IN_FLIGHT = 4
# Each is one small file; a person's page asks for a dozen at once.
_MAX_PICTURES_IN_FLIGHT = 64
# More than all that a search may bring beside its picture.
_BESIDE_PICTURE = 2**20

# Raises GatewayError.
ReadRequest = Callable[[], Awaitable[Message]]
Work = Callable[[Any, Deadline], Awaitable[Message]]
# Takes the caller's messages, each when it asks for it, until the caller has sent all; gives answers as they are ready.
# The deadline is None where there is none.
StreamingWork = Callable[[AsyncIterator[Any], Deadline | None], AsyncGenerator[Message, None]]


@dataclass(frozen=True)
class Lane:
    """Calls that share a bound on how many are in flight, the deadline of callers that name none, and a largest size.

    Without `default_deadline_s` such callers have `max_deadline_s`, and streams no deadline at all. `max_request_bytes`
    is of a message as it is in gRPC.
    """

    name: str
    admission: Admission
    default_deadline_s: float | None
    max_request_bytes: int


AnyWork = TypeVar("AnyWork")


@dataclass(frozen=True)
class _AnyMethod(Generic[AnyWork]):
    service: str
    name: str
    request: type[Message]
    response: type[Message]
    work: AnyWork
    lane: Lane


class Method(_AnyMethod[Work]):
    """One method of the contract."""


class StreamingMethod(_AnyMethod[StreamingWork]):
    """One method of the contract that takes a stream of messages and answers with a stream."""


@dataclass(frozen=True)
class Cores:
    """What does the work, and knows neither gRPC nor HTTP."""

    search: Search
    catalog: Catalog
    videos: Videos
    trials: Trials
    pictures: Pictures


class Calls:
    """The methods of the contract; both faces run these and nothing else."""

    def __init__(
        self,
        settings: GatewaySettings,
        cores: Cores,
        admission: Admission,
        metrics: Metrics,
    ) -> None:
        """`admission` is of searches; trials look at it too."""
        self._tokens = [token.get_secret_value().encode() for token in settings.tokens]
        self._max_s, self._read_timeout_s = settings.max_deadline_s, settings.read_timeout_s
        self._metrics = metrics
        self._catalog, self._trials = cores.catalog, cores.trials
        frames = RecognizeStream(self._frame, settings.max_stream_in_flight)
        methods = _methods(settings, cores, frames, admission)
        self._unary = {method.name: method for method in methods if isinstance(method, Method)}
        self._streaming = {method.name: method for method in methods if isinstance(method, StreamingMethod)}
        self.methods = self._unary | self._streaming

    async def close(self) -> None:
        """Ends a trial, and waits for writes that outlive their calls."""
        await self._trials.close()
        await self._catalog.close()

    async def run(self, name: str, read: ReadRequest, headers: Mapping[str, str], timeout_s: float | None) -> Message:
        """Runs one method within its time, which begins now. Raises GatewayError, and nothing else but cancellation.

        The request is read only for a caller with a token, once there is a permit: until then it costs nothing. Of the
        headers, by lowercase names, `authorization` and those of W3C Trace Context are used.
        """
        with call_span(name, headers), self._counted(self._metrics.requests, name, timeout_s):
            self._check_token(headers.get("authorization"))
            return await self._admitted(self._unary[name], read, timeout_s)

    async def stream(
        self,
        name: str,
        requests: AsyncIterator[Message],
        headers: Mapping[str, str],
        timeout_s: float | None,
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Runs one streaming method until its work is done. Raises GatewayError, and nothing else but cancellation.

        `requests` is read as its work asks for it, and `send` awaited before it goes on: so each side waits for the
        other. Only a caller's own deadline, or its lane's, ends it; `max_deadline_s` does not.
        """
        method = self._streaming[name]
        with call_span(name, headers), self._counted(self._metrics.streams, name, timeout_s):
            self._check_token(headers.get("authorization"))
            with self._permit(method.lane):
                await _streamed(method, requests, timeout_s, send)

    async def _frame(self, read: ReadRequest, timeout_s: float | None) -> Message:
        """One frame of a stream: a call of Recognize, counted under the stream's name."""
        method = replace(self._unary["Recognize"], name="RecognizeStream")
        with part_span("Recognize"), self._counted(self._metrics.requests, method.name, timeout_s):
            return await self._admitted(method, read, timeout_s)

    @contextmanager
    def _counted(self, counter: Counter, name: str, timeout_s: float | None) -> Iterator[None]:
        """Counts how it ended. Raises GatewayError, and nothing else but cancellation."""
        started = time.monotonic()
        outcome = "OK"
        try:
            yield
        except GatewayError as error:
            outcome = error.reason
            raise
        except asyncio.CancelledError:
            late = timeout_s is not None and time.monotonic() - started > timeout_s - EARLY_S
            outcome = Reason.DEADLINE_EXCEEDED if late else Reason.CANCELLED
            raise
        except Exception as error:
            log.exception("%s failed", name)
            outcome = Reason.INTERNAL
            raise InternalError from error
        finally:
            counter.labels(name, outcome).inc()

    @contextmanager
    def _permit(self, lane: Lane) -> Iterator[None]:
        """Raises Overloaded."""
        gauge = self._metrics.in_flight.labels(lane.name)
        try:
            with lane.admission.permit():
                gauge.set(lane.admission.in_flight)
                yield
        finally:
            gauge.set(lane.admission.in_flight)

    async def _admitted(self, method: Method, read: ReadRequest, timeout_s: float | None) -> Message:
        with self._permit(method.lane):
            started = time.perf_counter()
            try:
                response = await self._timed(method, read, timeout_s)
            finally:
                self._metrics.latency.labels(method.name).observe(time.perf_counter() - started)
            self._observe_stages(response)
            return response

    async def _timed(self, method: Method, read: ReadRequest, timeout_s: float | None) -> Message:
        given = method.lane.default_deadline_s if timeout_s is None else timeout_s
        seconds = self._max_s if given is None else min(given, self._max_s)
        deadline = Deadline.after(seconds)
        async with _within(seconds, _deadline_exceeded(method.name, seconds)):
            return await method.work(await self._read(read), deadline)

    async def _read(self, read: ReadRequest) -> Message:
        """Raises NotArrived: a caller that stalls would keep its permit from the others as long as its deadline."""
        async with _within(self._read_timeout_s, NotArrived(self._read_timeout_s)):
            return await read()

    def _observe_stages(self, response: Message) -> None:
        if isinstance(response, pb.RecognizeResponse | pb.SearchRegionResponse):
            for stage, milliseconds in response.served.stages_ms.items():
                self._metrics.stages.labels(stage).observe(milliseconds / 1e3)

    def _check_token(self, authorization: str | None) -> None:
        if not self._tokens:
            return
        scheme, _, token = (authorization or "").partition(" ")
        # Every token is compared, in constant time, so that timing tells nothing about any of them.
        matches = [hmac.compare_digest(token.strip().encode(), known) for known in self._tokens]
        if scheme.lower() != "bearer" or not any(matches):
            raise Unauthenticated


async def _streamed(
    method: StreamingMethod,
    requests: AsyncIterator[Message],
    timeout_s: float | None,
    send: Callable[[Message], Awaitable[None]],
) -> None:
    seconds = method.lane.default_deadline_s if timeout_s is None else timeout_s
    deadline = None if seconds is None else Deadline.after(seconds)
    async with (
        _within(seconds, _deadline_exceeded(method.name, seconds or 0.0)),
        aclosing(method.work(requests, deadline)) as responses,
    ):
        async for response in responses:
            await send(response)


@asynccontextmanager
async def _within(seconds: float | None, late: GatewayError) -> AsyncIterator[None]:
    """Raises `late` when the time is over; a TimeoutError that is raised within is not ours."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise late from error


def _deadline_exceeded(name: str, seconds: float) -> DeadlineExceeded:
    left = f"{seconds * 1e3:.0f} ms" if seconds >= 1e-3 else "less than 1 ms"
    return DeadlineExceeded(f"{name}, which had {left} left when it arrived")


def _methods(
    settings: GatewaySettings, cores: Cores, frames: RecognizeStream, admission: Admission
) -> tuple[Method | StreamingMethod, ...]:
    search, catalog, videos, trials = cores.search, cores.catalog, cores.videos, cores.trials
    most = settings.max_message_bytes
    # One picture each: as many as may be in flight would otherwise hold as many of the largest messages.
    one_picture = min(settings.max_picture_bytes + _BESIDE_PICTURE, most)
    searches = Lane("search", admission, settings.default_deadline_s, one_picture)
    # Of streams, not of their frames, which are searches.
    streams = Lane("stream", Admission(settings.max_streams), None, most)
    writes = Lane("catalog", Admission(settings.max_catalog_in_flight), settings.catalog_deadline_s, most)
    # Their own, so that an import does not keep readers out.
    reads = Lane("catalog_read", Admission(settings.max_catalog_reads_in_flight), settings.catalog_deadline_s, most)
    # Its own, so that a page full of pictures keeps no reader of the catalogue out.
    crops = Lane("picture", Admission(_MAX_PICTURES_IN_FLIGHT), settings.default_deadline_s, most)
    # Its own, so that a trial can be stopped while searches are shed.
    control = Lane("trial", Admission(_MAX_CONTROL_IN_FLIGHT), settings.default_deadline_s, most)
    # Their own: they read a small file each, and are asked for with every page of a feed.
    moments = Lane("moments", Admission(settings.max_moments_in_flight), settings.default_deadline_s, _BESIDE_PICTURE)
    # Its own: a video takes minutes, and cores.
    indexing = Lane("video", Admission(settings.max_videos_in_flight), None, most)
    return (
        _method("VisualSearch", "Recognize", search.recognize, searches),
        _method("VisualSearch", "SearchRegion", search.search_region, searches),
        _streaming_method("VisualSearch", "RecognizeStream", frames.answers, streams),
        _method("VisualSearch", "GetMoments", videos.moments, moments),
        _method("VisualSearch", "BatchGetMoments", videos.batch_moments, moments),
        _method("VisualSearch", "GetPicture", cores.pictures.get, crops),
        _method("Catalog", "UpsertProducts", catalog.upsert, writes),
        _method("Catalog", "UpdateProducts", catalog.update, writes),
        _method("Catalog", "DeleteProducts", catalog.delete, writes),
        _method("Catalog", "GetProduct", catalog.get, reads),
        _method("Catalog", "ListProducts", catalog.list_products, reads),
        _streaming_method("Catalog", "IndexVideo", videos.index, indexing),
        _method("Catalog", "DeleteVideo", videos.delete, writes),
        _method("Catalog", "GetVideo", videos.get, reads),
        _method("Catalog", "ListVideos", videos.list_videos, reads),
        _method("Trials", "StartTrial", trials.start, control),
        _method("Trials", "StopTrial", trials.stop, control),
        _method("Trials", "GetTrial", trials.get, control),
    )


def _method(service: str, name: str, work: Work, lane: Lane) -> Method:
    return Method(*_described(service, name), work, lane)


def _streaming_method(service: str, name: str, work: StreamingWork, lane: Lane) -> StreamingMethod:
    """Such as `_streaming_method("Catalog", "IndexVideo", videos.index, lane)`, with a lane of its own.

    `work` is an async generator function, run in the call's own task. It is closed when the call ends, however that is;
    when the caller goes, it is cancelled where it waits. What it has begun is its to end in a `finally`, which may be
    cancelled where it awaits. A GatewayError that it raises is the status of the call. That `requests` has come to its
    end is no proof that a caller has sent all: now and then, one that goes looks the same until it is cancelled.
    """
    return StreamingMethod(*_described(service, name), work, lane)


def _described(service: str, name: str) -> tuple[str, str, type[Message], type[Message]]:
    """The contract says which messages a method takes and gives."""
    described = pb.DESCRIPTOR.services_by_name[service]
    method = described.methods_by_name[name]
    return described.full_name, name, GetMessageClass(method.input_type), GetMessageClass(method.output_type)
