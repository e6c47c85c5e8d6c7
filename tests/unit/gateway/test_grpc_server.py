"""The gRPC face: a real server in this process, over fakes at the two seams."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from gateway_fakes import FakeIndex, FakeRecognizer, found, free_port, product_row, upsert
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from pydantic import SecretStr

from framelens_client.reasons import STATUS_OF, Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_client.v1 import framelens_pb2_grpc as pb_grpc
from framelens_gateway.calls import Calls
from framelens_gateway.errors import GatewayError
from framelens_gateway.grpc_server import grpc_server
from framelens_gateway.health import Health
from framelens_gateway.metrics import Metrics
from framelens_gateway.settings import GatewaySettings

Connect = Callable[..., Awaitable[grpc.aio.Channel]]
FRAME = pb.RecognizeRequest(picture=b"frame")


@pytest.fixture
async def connect(
    make_calls: Callable[..., Calls], health: Health, settings: GatewaySettings
) -> AsyncIterator[Connect]:
    """A channel to a server with settings of the test's own."""
    opened: list[Any] = []

    async def start(**changed: Any) -> grpc.aio.Channel:
        here = settings.model_copy(update={**changed, "grpc_port": free_port()})
        server = grpc_server(here, make_calls(**changed), health)
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{here.grpc_port}")
        opened.extend((channel.close, lambda: server.stop(None)))
        return channel

    yield start
    for close in opened:
        await close()


def details(error: grpc.aio.AioRpcError) -> tuple[str, str, list[Any]]:
    """Reason, domain, and the other details."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    assert status.message == error.details()
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason, info.domain, list(status.details[1:])


def counted(metrics: Metrics, method: str, outcome: str) -> float | None:
    return metrics.registry.get_sample_value("framelens_requests_total", {"method": method, "outcome": outcome})


async def test_every_method_answers(connect: Connect, recognizer: FakeRecognizer, index: FakeIndex) -> None:
    channel = await connect()
    recognizer.objects[b"frame"] = [found("cup")]
    search, catalog = pb_grpc.VisualSearchStub(channel), pb_grpc.CatalogStub(channel)
    stored = await catalog.UpsertProducts(pb.UpsertProductsRequest(products=[upsert("p", b"cup"), upsert("")]))
    assert [result.error.reason for result in stored.results] == ["", "INVALID_PRODUCT"]
    assert not stored.results[0].HasField("error")
    answer = await search.Recognize(FRAME)
    assert [match.id for match in answer.objects[0].matches] == ["p"]
    region = await search.SearchRegion(pb.SearchRegionRequest(picture=b"cup", region=pb.Box(x_max=1, y_max=1)))
    assert [match.id for match in region.matches] == ["p"]
    assert (await catalog.GetProduct(pb.GetProductRequest(id="p"))).product.id == "p"
    assert len((await catalog.ListProducts(pb.ListProductsRequest())).products) == 1
    assert list((await catalog.DeleteProducts(pb.DeleteProductsRequest(ids=["p"]))).deleted) == ["p"]


async def test_a_trial_from_begin_to_end(connect: Connect, recognizer: FakeRecognizer) -> None:
    channel = await connect()
    recognizer.models.add("detector__candidate")
    trials = pb_grpc.TrialsStub(channel)
    asked = pb.StartTrialRequest(
        kind="canary", share=1, engine="detector__candidate", bounds=pb.Bounds(max_p99_ms=60_000)
    )
    assert (await trials.StartTrial(asked)).state == "running"
    answer = await pb_grpc.VisualSearchStub(channel).Recognize(FRAME)
    assert answer.served.candidate == "detector__candidate"
    assert (await trials.GetTrial(pb.GetTrialRequest())).canary.served == 1
    assert (await trials.StopTrial(pb.StopTrialRequest())).state == "stopped"
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await trials.StartTrial(pb.StartTrialRequest(kind="shadow", share=1, space="next"))
    assert details(missing.value)[0] == "NOT_FOUND"


async def test_a_trial_can_be_stopped_while_searches_are_shed(connect: Connect, recognizer: FakeRecognizer) -> None:
    channel = await connect(max_in_flight=1)
    recognizer.fault.gate = asyncio.Event()
    first = pb_grpc.VisualSearchStub(channel).Recognize(FRAME)
    while not recognizer.calls:
        await asyncio.sleep(0.005)
    assert (await pb_grpc.TrialsStub(channel).StopTrial(pb.StopTrialRequest())).state == "none"
    recognizer.fault.gate.set()
    await first


async def test_trials_need_the_token_too(connect: Connect) -> None:
    trials = pb_grpc.TrialsStub(await connect(tokens=[SecretStr("secret")]))
    for call in (trials.StartTrial(pb.StartTrialRequest()), trials.StopTrial(pb.StopTrialRequest())):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("reason", list(Reason))
async def test_every_reason_has_its_status_and_its_details(
    connect: Connect, recognizer: FakeRecognizer, reason: Reason
) -> None:
    recognizer.fault.error = GatewayError(reason, f"what happened: é {reason}")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await pb_grpc.VisualSearchStub(await connect()).Recognize(FRAME)
    assert failed.value.code() is STATUS_OF[reason][0]
    assert details(failed.value) == (reason, "framelens", [])


async def test_shed_calls_say_when_to_come_back(connect: Connect, recognizer: FakeRecognizer) -> None:
    stub = pb_grpc.VisualSearchStub(await connect(max_in_flight=1))
    recognizer.fault.gate = asyncio.Event()
    first = stub.Recognize(FRAME)
    while not recognizer.calls:
        await asyncio.sleep(0.005)
    with pytest.raises(grpc.aio.AioRpcError) as shed:
        await stub.Recognize(FRAME)
    recognizer.fault.gate.set()
    await first
    assert shed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    reason, _, (packed,) = details(shed.value)
    retry = error_details_pb2.RetryInfo()
    assert (reason, packed.Unpack(retry)) == ("OVERLOADED", True)
    assert 0 < retry.retry_delay.ToMilliseconds() <= 1000


async def test_tokens(connect: Connect) -> None:
    stub = pb_grpc.VisualSearchStub(await connect(tokens=[SecretStr("secret")]))
    await stub.Recognize(FRAME, metadata=(("authorization", "Bearer secret"),))
    for metadata in ((), (("authorization", "Bearer wrong"),), (("authorization", "secret"),)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Recognize(FRAME, metadata=metadata)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert details(refused.value)[0] == "UNAUTHENTICATED"


async def test_the_callers_deadline_is_passed_on(connect: Connect, recognizer: FakeRecognizer) -> None:
    stub = pb_grpc.VisualSearchStub(await connect())
    await stub.Recognize(FRAME, timeout=3)
    await stub.Recognize(FRAME)
    asked, by_default = recognizer.deadlines
    assert 2 < asked < 3.1
    assert 9 < by_default < 10.1


async def test_at_the_callers_deadline_the_work_ends(
    connect: Connect, recognizer: FakeRecognizer, metrics: Metrics, until: Callable[..., Any]
) -> None:
    stub = pb_grpc.VisualSearchStub(await connect())
    recognizer.fault.gate = asyncio.Event()
    started = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await stub.Recognize(FRAME, timeout=0.2)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 1
    await until(lambda: recognizer.running == 0)
    await until(lambda: counted(metrics, "Recognize", "DEADLINE_EXCEEDED") == 1)


async def test_a_caller_that_cancels_ends_the_work(
    connect: Connect, recognizer: FakeRecognizer, metrics: Metrics, until: Callable[..., Any]
) -> None:
    stub = pb_grpc.VisualSearchStub(await connect())
    recognizer.fault.gate = asyncio.Event()
    call = stub.Recognize(FRAME)
    await until(lambda: recognizer.running)
    call.cancel()
    await until(lambda: recognizer.running == 0)
    await until(lambda: counted(metrics, "Recognize", "CANCELLED") == 1)
    assert metrics.registry.get_sample_value("framelens_in_flight", {"kind": "search"}) == 0


async def test_a_fault_of_the_gateway_tells_nothing_of_itself(
    connect: Connect, recognizer: FakeRecognizer, caplog: pytest.LogCaptureFixture
) -> None:
    recognizer.fault.error = RuntimeError("the inside")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await pb_grpc.VisualSearchStub(await connect()).Recognize(FRAME)
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert "the inside" not in str(failed.value.details())
    assert "the inside" in caplog.text


async def test_the_longest_message_reaches_the_caller(connect: Connect, recognizer: FakeRecognizer) -> None:
    recognizer.fault.error = GatewayError(Reason.MILVUS_UNAVAILABLE, "漢字\n" * 50_000)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await pb_grpc.VisualSearchStub(await connect()).Recognize(FRAME)
    assert details(failed.value)[0] == "MILVUS_UNAVAILABLE"


async def test_health(connect: Connect, health: Health) -> None:
    stub = health_pb2_grpc.HealthStub(await connect())
    await health._look()
    for service in ("", "framelens.v1.VisualSearch", "framelens.v1.Catalog", "triton", "milvus"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await stub.Check(health_pb2.HealthCheckRequest(service="other"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services(connect: Connect) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(await connect())
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [answer async for answer in stub.ServerReflectionInfo(iter([asked]))]
    services = {service.name for service in answers[0].list_services_response.service}
    assert {"framelens.v1.VisualSearch", "framelens.v1.Catalog", "grpc.health.v1.Health"} <= services


async def test_a_port_that_is_taken_is_named(
    calls: Calls, health: Health, settings: GatewaySettings, connect: Connect
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        taken = settings.model_copy(update={"grpc_port": held.getsockname()[1]})
        with pytest.raises(OSError, match=str(taken.grpc_port)):
            grpc_server(taken, calls, health)


async def test_many_calls_share_searches(
    connect: Connect, recognizer: FakeRecognizer, index: FakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = index.search

    async def search_as_slow_as_an_index(*arguments: Any) -> Any:
        await asyncio.sleep(0.05)
        return await at_once(*arguments)

    monkeypatch.setattr(index, "search", search_as_slow_as_an_index)
    stub = pb_grpc.VisualSearchStub(await connect(max_in_flight=64))
    recognizer.objects[b"frame"] = [found("cup")]
    index.add(product_row("p"))
    answers = await asyncio.gather(*(stub.Recognize(FRAME) for _ in range(40)))
    assert all(answer.objects[0].matches[0].id == "p" for answer in answers)
    assert sum(count for _, count, _, _ in index.of("search")) == 40
    assert len(index.of("search")) < 40


async def test_without_a_token_no_message_is_read(connect: Connect) -> None:
    channel = await connect(tokens=[SecretStr("secret")])
    send = channel.unary_unary("/framelens.v1.VisualSearch/Recognize")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(b"\xff no message")
    assert details(refused.value)[0] == "UNAUTHENTICATED"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(b"\xff no message", metadata=(("authorization", "Bearer secret"),))
    assert details(refused.value)[0] == "INVALID_ARGUMENT"
    assert "RecognizeRequest" in str(refused.value.details())


async def test_a_call_that_brings_no_message(connect: Connect) -> None:
    channel = await connect()
    call = channel.stream_unary("/framelens.v1.Catalog/GetProduct")()
    await call.done_writing()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert details(refused.value)[0] == "INVALID_ARGUMENT"


async def test_a_message_that_is_too_long_is_not_read(connect: Connect, metrics: Metrics) -> None:
    stub = pb_grpc.VisualSearchStub(await connect(max_message_bytes=2**20))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Recognize(pb.RecognizeRequest(picture=b"x" * 2**21))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert counted(metrics, "Recognize", "OK") is None


async def test_a_search_may_send_one_picture_and_a_catalogue_as_much_as_a_message_holds(connect: Connect) -> None:
    channel = await connect(max_picture_bytes=2**19, max_message_bytes=2**22)
    search, catalog = pb_grpc.VisualSearchStub(channel), pb_grpc.CatalogStub(channel)
    picture = b"x" * 2**21
    for call in (
        search.Recognize(pb.RecognizeRequest(picture=picture)),
        search.SearchRegion(pb.SearchRegionRequest(picture=picture)),
    ):
        with pytest.raises(grpc.aio.AioRpcError, match="larger than the 1572864 bytes that") as refused:
            await call
        assert details(refused.value)[0] == "PICTURE_TOO_LARGE"
    stored = await catalog.UpsertProducts(pb.UpsertProductsRequest(products=[upsert("p", picture)]))
    assert stored.results[0].error.message == f"the picture has {2**21} bytes; the limit is 2048"


async def test_a_message_that_stalls_gives_its_permit_back(connect: Connect) -> None:
    channel = await connect(read_timeout_s=0.1, max_in_flight=1)
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await channel.stream_unary("/framelens.v1.VisualSearch/Recognize")()
        assert details(late.value)[0] == "DEADLINE_EXCEEDED"
        assert "did not arrive in time" in str(late.value.details())


async def test_a_callers_time_has_a_ceiling(connect: Connect, recognizer: FakeRecognizer) -> None:
    await pb_grpc.VisualSearchStub(await connect(max_deadline_s=3)).Recognize(FRAME, timeout=1e6)
    assert 2 < recognizer.deadlines[0] <= 3
