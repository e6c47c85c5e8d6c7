"""RecognizeStream behind a real server, over fakes at the two seams, and its rules for single frames."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from gateway_fakes import FakeIndex, FakeRecognizer, found, free_port, product_row

from framelens_client.v1 import framelens_pb2 as pb
from framelens_client.v1 import framelens_pb2_grpc as pb_grpc
from framelens_gateway.calls import Calls
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.grpc_server import grpc_server
from framelens_gateway.health import Health
from framelens_gateway.metrics import Metrics
from framelens_gateway.recognizer import Recognition, RecognizerCall
from framelens_gateway.settings import GatewaySettings

Connect = Callable[..., Awaitable[Any]]


@pytest.fixture
async def connect(
    make_calls: Callable[..., Calls], health: Health, settings: GatewaySettings
) -> AsyncIterator[Connect]:
    """A stub of a server with settings of the test's own."""
    opened: list[Any] = []

    async def start(**changed: Any) -> Any:
        here = settings.model_copy(update={**changed, "grpc_port": free_port()})
        server = grpc_server(here, make_calls(**changed), health)
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{here.grpc_port}")
        opened.extend((channel.close, lambda: server.stop(None)))
        return pb_grpc.VisualSearchStub(channel)

    yield start
    for close in opened:
        await close()


@pytest.fixture
def gates(recognizer: FakeRecognizer, monkeypatch: pytest.MonkeyPatch) -> dict[bytes, asyncio.Event]:
    """Frames of these pictures wait for their gates."""
    gates: dict[bytes, asyncio.Event] = {}
    at_once = recognizer.recognize

    async def wait(call: RecognizerCall, deadline: Any) -> Recognition:
        if call.picture in gates:
            recognizer.running += 1
            try:
                await gates[call.picture].wait()
            finally:
                recognizer.running -= 1
        return await at_once(call, deadline)

    monkeypatch.setattr(recognizer, "recognize", wait)
    return gates


def frame(name: str, picture: bytes = b"frame", **fields: Any) -> pb.RecognizeStreamRequest:
    return pb.RecognizeStreamRequest(id=name, request=pb.RecognizeRequest(picture=picture), **fields)


async def asked(stub: Any, *frames: pb.RecognizeStreamRequest) -> list[pb.RecognizeStreamResponse]:
    return [answer async for answer in stub.RecognizeStream(iter(frames))]


def counted(metrics: Metrics, outcome: str) -> float | None:
    labels = {"method": "RecognizeStream", "outcome": outcome}
    return metrics.registry.get_sample_value("framelens_requests_total", labels)


def searches_in_flight(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("framelens_in_flight", {"kind": "search"})


async def test_each_frame_is_answered_as_recognize_answers_it(
    connect: Connect, recognizer: FakeRecognizer, index: FakeIndex, metrics: Metrics
) -> None:
    stub = await connect()
    index.add(product_row("p"))
    recognizer.objects = {b"one": [found("cup")], b"two": [found("bowl"), found("person")]}
    answers = {answer.id: answer.response for answer in await asked(stub, frame("1", b"one"), frame("2", b"two"))}
    for name, picture in (("1", b"one"), ("2", b"two")):
        alone = await stub.Recognize(pb.RecognizeRequest(picture=picture))
        assert answers[name].objects == alone.objects
        assert answers[name].served.engines == alone.served.engines
    assert counted(metrics, "OK") == 2
    assert metrics.registry.get_sample_value("framelens_request_seconds_count", {"method": "RecognizeStream"}) == 2
    stages = metrics.registry.get_sample_value("framelens_stage_seconds_count", {"stage": "decode"})
    assert stages == 4


async def test_answers_come_as_they_are_ready(
    connect: Connect, gates: dict[bytes, asyncio.Event], recognizer: FakeRecognizer
) -> None:
    gates[b"slow"] = asyncio.Event()
    call = (await connect()).RecognizeStream()
    for each in (frame("slow", b"slow"), frame("a"), frame("b")):
        await call.write(each)
    await call.done_writing()
    assert {(await call.read()).id, (await call.read()).id} == {"a", "b"}
    gates[b"slow"].set()
    assert (await call.read()).id == "slow"
    assert await call.read() is grpc.aio.EOF


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (frame(""), "a frame without id"),
        (frame("é" * 33), "id has 66 bytes; the limit is 64"),
        (pb.RecognizeStreamRequest(id="x"), "frame 'x' brings no request"),
        (frame("x", timeout_ms=0), "timeout_ms is 0; it must be"),
        (frame("x", timeout_ms=-5), "timeout_ms is -5"),
        (frame("x", timeout_ms=float("nan")), "timeout_ms is nan"),
        (frame("x", timeout_ms=float("inf")), "timeout_ms is inf"),
        (frame("x", b""), "the picture is empty"),
        (frame("x", b"x" * 3000), "the picture has 3000 bytes; the limit is 2048"),
    ],
)
async def test_what_is_wrong_with_one_frame_touches_no_other(
    connect: Connect, metrics: Metrics, wrong: pb.RecognizeStreamRequest, said: str
) -> None:
    answers = await asked(await connect(), frame("a"), wrong, frame("b"))
    errors = {answer.id: answer.error for answer in answers if answer.HasField("error")}
    assert {answer.id for answer in answers if answer.HasField("response")} == {"a", "b"}
    assert list(errors) == [wrong.id]
    assert said in errors[wrong.id].message
    assert not errors[wrong.id].HasField("retry_after_ms")
    assert counted(metrics, errors[wrong.id].reason) == 1


async def test_an_id_is_free_again_when_its_frame_is_answered(
    connect: Connect, gates: dict[bytes, asyncio.Event]
) -> None:
    gates[b"slow"] = asyncio.Event()
    call = (await connect()).RecognizeStream()
    await call.write(frame("a", b"slow"))
    await call.write(frame("a"))
    refused = await call.read()
    assert (refused.id, refused.error.reason) == ("a", "INVALID_ARGUMENT")
    assert "under way already" in refused.error.message
    gates[b"slow"].set()
    assert (await call.read()).HasField("response")
    for _ in range(50):
        await call.write(frame("a"))
        assert (await call.read()).HasField("response")
    call.cancel()


async def test_frames_are_shed_like_other_searches_and_say_when_to_come_back(
    connect: Connect, gates: dict[bytes, asyncio.Event], recognizer: FakeRecognizer, metrics: Metrics, until: Any
) -> None:
    stub = await connect(max_in_flight=1)
    gates[b"slow"] = asyncio.Event()
    alone = stub.Recognize(pb.RecognizeRequest(picture=b"slow"))
    await until(lambda: recognizer.running)
    (shed,) = await asked(stub, frame("a"))
    assert (shed.id, shed.error.reason) == ("a", "OVERLOADED")
    assert 0 < shed.error.retry_after_ms <= 1000
    gates[b"slow"].set()
    await alone
    (answered,) = await asked(stub, frame("a"))
    assert answered.HasField("response")
    assert (counted(metrics, "OVERLOADED"), counted(metrics, "OK")) == (1, 1)


async def test_an_idle_stream_holds_no_permit_of_searches(
    connect: Connect, metrics: Metrics, until: Callable[..., Any]
) -> None:
    stub = await connect(max_in_flight=1, max_streams=2)
    streams = [stub.RecognizeStream() for _ in range(2)]
    for each in streams:
        await each.write(frame("a"))
        await each.read()
    assert searches_in_flight(metrics) == 0
    await stub.Recognize(pb.RecognizeRequest(picture=b"frame"))
    with pytest.raises(grpc.aio.AioRpcError, match="2 requests are in flight") as shed:
        await stub.RecognizeStream().read()
    assert shed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    streams[0].cancel()
    await until(lambda: metrics.registry.get_sample_value("framelens_in_flight", {"kind": "stream"}) == 1)
    (answer,) = await asked(stub, frame("a"))
    assert answer.HasField("response")


async def test_each_frame_has_a_deadline_of_its_own(
    connect: Connect, recognizer: FakeRecognizer, gates: dict[bytes, asyncio.Event], metrics: Metrics
) -> None:
    gates[b"slow"] = asyncio.Event()
    stub = await connect(max_deadline_s=20)
    answers = await asked(
        stub, frame("late", b"slow", timeout_ms=50), frame("a", timeout_ms=3000), frame("b"), frame("c", timeout_ms=1e9)
    )
    late = next(answer for answer in answers if answer.id == "late")
    assert late.error.reason == "DEADLINE_EXCEEDED"
    assert "had 50 ms left" in late.error.message
    asked_for, by_default, cut = sorted(recognizer.deadlines)
    assert 2 < asked_for < 3.1
    assert 9 < by_default < 10.1
    assert 19 < cut < 20.1
    assert counted(metrics, "DEADLINE_EXCEEDED") == 1


async def test_no_more_frames_are_read_than_may_be_under_way(
    connect: Connect, recognizer: FakeRecognizer, until: Callable[..., Any]
) -> None:
    stub = await connect(max_in_flight=64, max_stream_in_flight=3)
    recognizer.fault.gate = asyncio.Event()
    call = stub.RecognizeStream(iter([frame(str(n)) for n in range(10)]))
    await until(lambda: recognizer.running == 3)
    await asyncio.sleep(0.1)
    assert recognizer.running == 3
    recognizer.fault.gate.set()
    answers = [answer async for answer in call]
    assert sorted(answer.id for answer in answers) == [str(n) for n in range(10)]
    assert recognizer.most_running == 3


async def test_a_caller_that_does_not_read_is_not_read(
    make_calls: Callable[..., Calls], recognizer: FakeRecognizer
) -> None:
    taking, read = asyncio.Event(), 0

    async def frames() -> AsyncIterator[pb.RecognizeStreamRequest]:
        nonlocal read
        for number in range(10):
            read += 1
            yield frame(str(number))

    async def send(_: Any) -> None:
        await taking.wait()

    call = asyncio.create_task(make_calls(max_stream_in_flight=3).stream("RecognizeStream", frames(), {}, None, send))
    await asyncio.sleep(0.1)
    assert (read, recognizer.running) == (3, 0)
    taking.set()
    await call
    assert read == 10


async def test_a_caller_that_goes_ends_all_that_is_under_way(
    connect: Connect, recognizer: FakeRecognizer, metrics: Metrics, until: Callable[..., Any]
) -> None:
    stub = await connect()
    recognizer.fault.gate = asyncio.Event()
    call = stub.RecognizeStream()
    for number in range(3):
        await call.write(frame(str(number)))
    await until(lambda: recognizer.running == 3)
    call.cancel()
    await until(lambda: recognizer.running == 0)
    await until(lambda: counted(metrics, "CANCELLED") == 3)
    assert searches_in_flight(metrics) == 0


async def test_a_stream_that_is_over_ends_all_that_is_under_way(
    connect: Connect, recognizer: FakeRecognizer, until: Callable[..., Any]
) -> None:
    stub = await connect()
    recognizer.fault.gate = asyncio.Event()
    call = stub.RecognizeStream(timeout=0.3)
    await call.write(frame("a"))
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await call.read()
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: recognizer.running == 0)


async def test_what_is_no_frame_ends_the_stream_after_the_answers_before_it(
    make_calls: Callable[..., Calls],
) -> None:
    async def frames() -> AsyncIterator[pb.RecognizeStreamRequest]:
        yield frame("a")
        raise InvalidRequest("the request is not a RecognizeStreamRequest")

    sent: list[str] = []

    async def send(answer: Any) -> None:
        sent.append(answer.id)

    with pytest.raises(InvalidRequest):
        await make_calls().stream("RecognizeStream", frames(), {}, None, send)
    assert sent == ["a"]


async def test_a_fault_of_the_gateway_is_told_of_its_frame_alone(
    connect: Connect, recognizer: FakeRecognizer, gates: dict[bytes, asyncio.Event], caplog: pytest.LogCaptureFixture
) -> None:
    stub = await connect()
    gates[b"slow"] = asyncio.Event()
    call = stub.RecognizeStream()
    await call.write(frame("slow", b"slow"))
    recognizer.fault.error = RuntimeError("the inside")
    await call.write(frame("a"))
    failed = await call.read()
    assert (failed.id, failed.error.reason) == ("a", "INTERNAL")
    assert "the inside" not in failed.error.message
    assert "the inside" in caplog.text
    recognizer.fault.error = None
    gates[b"slow"].set()
    assert (await call.read()).HasField("response")
    call.cancel()
