"""What every call of a streaming method passes through, as such and behind a real server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from gateway_fakes import free_port
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pydantic import SecretStr

from framelens_client.v1 import framelens_pb2 as pb
from framelens_client.v1 import framelens_pb2_grpc as pb_grpc
from framelens_gateway.admission import Admission
from framelens_gateway.calls import Calls, Lane, StreamingMethod
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import (
    DeadlineExceeded,
    GatewayError,
    InternalError,
    InvalidRequest,
    Overloaded,
    Unauthenticated,
)
from framelens_gateway.grpc_server import grpc_server
from framelens_gateway.health import Health
from framelens_gateway.metrics import Metrics
from framelens_gateway.settings import GatewaySettings

NAME = "RecognizeStream"


class Echo:
    """Gives each message back once its gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: BaseException | None = None
        self.deadlines: list[Deadline | None] = []
        self.taken: list[str] = []
        self.began = self.ended = 0
        # Answers to each message.
        self.times = 1

    async def work(
        self, requests: AsyncIterator[pb.RecognizeStreamRequest], deadline: Deadline | None
    ) -> AsyncGenerator[pb.RecognizeStreamResponse, None]:
        self.deadlines.append(deadline)
        self.began += 1
        try:
            async for request in requests:
                self.taken.append(request.id)
                await self.gate.wait()
                if self.failure:
                    raise self.failure
                for _ in range(self.times):
                    yield pb.RecognizeStreamResponse(id=request.id)
        finally:
            self.ended += 1


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
def calls_with(echo: Echo, make_calls: Callable[..., Calls]) -> Callable[..., Calls]:
    """Calls whose one streaming method is the echo."""

    def make(default_deadline_s: float | None = None, **changed: Any) -> Calls:
        calls = make_calls(**changed)
        lane = Lane("echo", Admission(1), default_deadline_s, 2**17)
        kinds = (pb.RecognizeStreamRequest, pb.RecognizeStreamResponse)
        method = StreamingMethod("framelens.v1.VisualSearch", NAME, *kinds, echo.work, lane)
        calls._streaming[NAME] = calls.methods[NAME] = method
        return calls

    return make


async def given(*ids: str) -> AsyncIterator[Message]:
    for each in ids:
        yield pb.RecognizeStreamRequest(id=each)


async def unread() -> AsyncIterator[Message]:
    raise AssertionError("it was read")
    yield


async def never() -> AsyncIterator[Message]:
    await asyncio.sleep(60)
    yield pb.RecognizeStreamRequest()


async def answers(
    calls: Calls, requests: AsyncIterator[Message], timeout_s: float | None = None, **headers: str
) -> list[str]:
    sent: list[str] = []

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message.id)  # type: ignore[attr-defined]

    await calls.stream(NAME, requests, headers, timeout_s, send)
    return sent


def ended(metrics: Metrics, outcome: str) -> float | None:
    return metrics.registry.get_sample_value("framelens_streams_total", {"method": NAME, "outcome": outcome})


def open_now(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("framelens_in_flight", {"kind": "echo"})


async def test_answers_until_the_work_is_done(calls_with: Callable[..., Calls], metrics: Metrics) -> None:
    assert await answers(calls_with(), given("a", "b")) == ["a", "b"]
    assert (ended(metrics, "OK"), open_now(metrics)) == (1, 0)


async def test_nothing_is_read_without_a_token_or_a_permit(
    calls_with: Callable[..., Calls], echo: Echo, metrics: Metrics
) -> None:
    calls = calls_with(tokens=[SecretStr("secret")])
    with pytest.raises(Unauthenticated):
        await answers(calls, unread())
    first = asyncio.create_task(answers(calls, never(), authorization="Bearer secret"))
    await asyncio.sleep(0.01)
    assert open_now(metrics) == 1
    with pytest.raises(Overloaded):
        await answers(calls, unread(), authorization="Bearer secret")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert [ended(metrics, outcome) for outcome in ("UNAUTHENTICATED", "OVERLOADED", "CANCELLED")] == [1, 1, 1]
    assert (echo.ended, open_now(metrics)) == (1, 0)


async def test_a_stream_has_its_callers_deadline_and_no_other(
    calls_with: Callable[..., Calls], echo: Echo, metrics: Metrics
) -> None:
    await answers(calls_with(max_deadline_s=0.01), given("a"))
    assert echo.deadlines == [None]
    with pytest.raises(DeadlineExceeded, match="RecognizeStream, which had 50 ms left"):
        await answers(calls_with(), never(), 0.05)
    with pytest.raises(DeadlineExceeded):
        await answers(calls_with(default_deadline_s=0.05), never())
    await answers(calls_with(max_deadline_s=0.01), given("a"), 60)
    assert [deadline is None for deadline in echo.deadlines] == [True, False, False, False]
    assert (echo.began, echo.ended, ended(metrics, "DEADLINE_EXCEEDED")) == (4, 4, 2)


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (InvalidRequest("no"), InvalidRequest),
        (RuntimeError("the inside"), InternalError),
        (TimeoutError("a disk that does not answer"), InternalError),
    ],
)
async def test_a_failure_of_the_work_ends_the_stream(
    calls_with: Callable[..., Calls], echo: Echo, failure: Exception, seen: type[GatewayError]
) -> None:
    echo.failure = failure
    with pytest.raises(seen) as raised:
        await answers(calls_with(), given("a"), 5)
    assert "the inside" not in raised.value.message
    assert echo.ended == 1


async def test_the_work_is_closed_where_sending_is_cancelled(
    calls_with: Callable[..., Calls], echo: Echo, metrics: Metrics
) -> None:
    async def send(_: Message) -> None:
        await asyncio.sleep(60)

    call = asyncio.create_task(calls_with().stream(NAME, given("a"), {}, None, send))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (echo.ended, ended(metrics, "CANCELLED"), open_now(metrics)) == (1, 1, 0)


@pytest.fixture
async def connect(
    calls_with: Callable[..., Calls], health: Health, settings: GatewaySettings
) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """A stub of a server with settings of the test's own, and the server."""
    opened: list[Any] = []

    async def start(**changed: Any) -> tuple[Any, grpc.aio.Server]:
        here = settings.model_copy(update={**changed, "grpc_port": free_port()})
        server = grpc_server(here, calls_with(**changed), health)
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{here.grpc_port}")
        opened.extend((channel.close, lambda: server.stop(None)))
        return pb_grpc.VisualSearchStub(channel), server

    yield start
    for close in opened:
        await close()


def reason(error: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    info = error_details_pb2.ErrorInfo()
    assert status is not None and status.details[0].Unpack(info)
    return info.reason


async def test_a_stream_over_grpc_goes_both_ways(connect: Callable[..., Any]) -> None:
    stub, _ = await connect()
    call = stub.RecognizeStream()
    for number in range(100):
        await call.write(pb.RecognizeStreamRequest(id=str(number)))
        assert (await call.read()).id == str(number)
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_stream_that_fails_says_why_after_what_was_answered(connect: Callable[..., Any], echo: Echo) -> None:
    stub, _ = await connect()
    call = stub.RecognizeStream()
    await call.write(pb.RecognizeStreamRequest(id="a"))
    assert (await call.read()).id == "a"
    echo.failure = InvalidRequest("b is wrong")
    await call.write(pb.RecognizeStreamRequest(id="b"))
    with pytest.raises(grpc.aio.AioRpcError, match="b is wrong") as failed:
        await call.read()
    assert (failed.value.code(), reason(failed.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")


async def test_each_message_has_a_largest_size(connect: Callable[..., Any], echo: Echo) -> None:
    stub, _ = await connect()
    with pytest.raises(grpc.aio.AioRpcError, match="larger than the 131072 bytes") as refused:
        await stub.RecognizeStream(iter([pb.RecognizeStreamRequest(id="x" * 2**17)])).read()
    assert reason(refused.value) == "PICTURE_TOO_LARGE"
    assert (echo.taken, echo.ended) == ([], 1)


async def test_without_a_token_a_stream_is_refused(connect: Callable[..., Any], echo: Echo) -> None:
    stub, _ = await connect(tokens=[SecretStr("secret")])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecognizeStream().read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert echo.began == 0
    call = stub.RecognizeStream(metadata=(("authorization", "Bearer secret"),))
    await call.write(pb.RecognizeStreamRequest(id="a"))
    assert (await call.read()).id == "a"


async def test_a_caller_that_goes_ends_the_work(
    connect: Callable[..., Any], echo: Echo, metrics: Metrics, until: Callable[..., Any]
) -> None:
    stub, _ = await connect()
    echo.gate.clear()
    waiting = stub.RecognizeStream()
    await waiting.write(pb.RecognizeStreamRequest(id="a"))
    await until(lambda: echo.taken)
    waiting.cancel()
    await until(lambda: echo.ended == 1)
    echo.gate.set()
    reading = stub.RecognizeStream()
    await until(lambda: echo.began == 2)
    reading.cancel()
    await until(lambda: echo.ended == 2)
    await until(lambda: ended(metrics, "CANCELLED") == 2)
    assert open_now(metrics) == 0


async def test_a_caller_that_goes_while_answers_wait_for_it_is_no_fault_of_ours(
    connect: Callable[..., Any], echo: Echo, metrics: Metrics, until: Callable[..., Any]
) -> None:
    stub, _ = await connect()
    echo.times = 100_000
    call = stub.RecognizeStream()
    await call.write(pb.RecognizeStreamRequest(id="a" * 512))
    await call.read()
    await asyncio.sleep(0.2)
    assert echo.ended == 0, "its caller does not read, so it waits"
    call.cancel()
    await until(lambda: echo.ended == 1)
    await until(lambda: ended(metrics, "CANCELLED") == 1)


async def test_who_is_not_read_waits_with_writing(connect: Callable[..., Any], echo: Echo) -> None:
    stub, _ = await connect()
    echo.gate.clear()
    call = stub.RecognizeStream()
    written = 0
    with pytest.raises(TimeoutError):
        while written < 1000:
            async with asyncio.timeout(1):
                await call.write(pb.RecognizeStreamRequest(id="a" * 100_000))
            written += 1
    assert len(echo.taken) == 1
    call.cancel()


async def test_the_callers_deadline_ends_a_stream(connect: Callable[..., Any], echo: Echo, until: Any) -> None:
    stub, _ = await connect()
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await stub.RecognizeStream(timeout=0.2).read()
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: echo.ended == 1)


async def test_streams_end_when_the_server_has_waited_long_enough(
    connect: Callable[..., Any], echo: Echo, metrics: Metrics, until: Callable[..., Any]
) -> None:
    stub, server = await connect()
    call = stub.RecognizeStream()
    await call.write(pb.RecognizeStreamRequest(id="a"))
    await call.read()
    async with asyncio.timeout(2):
        await server.stop(0.2)
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    await until(lambda: (echo.ended, ended(metrics, "CANCELLED"), open_now(metrics)) == (1, 1, 0))
