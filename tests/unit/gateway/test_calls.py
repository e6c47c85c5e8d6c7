"""What every call passes through: token, admission, deadline, account."""

import asyncio
from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from framelens_client.catalogue.importer import CALLS_IN_FLIGHT
from framelens_client.reasons import STATUS_OF, Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.admission import Admission
from framelens_gateway.calls import Calls, Cores, ReadRequest
from framelens_gateway.errors import (
    DeadlineExceeded,
    GatewayError,
    InternalError,
    InvalidRequest,
    NotArrived,
    Overloaded,
    Unauthenticated,
)
from framelens_gateway.grpc_server import error_status
from framelens_gateway.metrics import Metrics
from framelens_gateway.settings import GatewaySettings


class Work:
    """Stands for both cores."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.failure: Exception | None = None
        self.gone = False

    async def recognize(self, request: Any, deadline: Any) -> pb.RecognizeResponse:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.gone = True
            raise
        if self.failure:
            raise self.failure
        return pb.RecognizeResponse()

    search_region = upsert = update = delete = get = list_products = start = stop = recognize
    moments = batch_moments = list_videos = recognize

    async def index(self, requests: Any, _: Any) -> Any:
        async for _ in requests:
            yield pb.IndexVideoProgress()


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def calls_with(work: Work, metrics: Metrics, **settings: Any) -> Calls:
    chosen = GatewaySettings(**settings)
    cores = Cores(work, work, work, work, work)  # type: ignore[arg-type]
    return Calls(chosen, cores, Admission(chosen.max_in_flight), metrics)


def counted(metrics: Metrics, outcome: str) -> float:
    return metrics.registry.get_sample_value(
        "framelens_requests_total", {"method": "Recognize", "outcome": outcome}
    ) or 0.0  # fmt: skip


def in_flight(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("framelens_in_flight", {"kind": "search"})


def given(request: Message) -> ReadRequest:
    async def read() -> Message:
        return request

    return read


async def run(calls: Calls, authorization: str | None = None, timeout_s: float | None = None) -> object:
    headers = {} if authorization is None else {"authorization": authorization}
    return await calls.run("Recognize", given(pb.RecognizeRequest()), headers, timeout_s)


@pytest.mark.parametrize(
    "authorization",
    [None, "", "secret", "Basic secret", "Bearer wrong", "Bearer sécret", "Bearer", "Bearer secretx", "漢 \U0001f600"],
)
async def test_a_wrong_token_is_refused(work: Work, metrics: Metrics, authorization: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await run(calls_with(work, metrics, tokens=["other", "secret"]), authorization)
    assert counted(metrics, "UNAUTHENTICATED") == 1


async def test_a_right_token_is_let_in(work: Work, metrics: Metrics) -> None:
    await run(calls_with(work, metrics, tokens=["other", "secret"]), "bearer secret")
    assert counted(metrics, "OK") == 1


async def test_more_than_the_bound_are_shed_at_once(work: Work, metrics: Metrics) -> None:
    calls = calls_with(work, metrics, max_in_flight=2)
    work.seconds = 0.2
    outcomes = await asyncio.gather(*(run(calls) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, Overloaded) for outcome in outcomes) == 3
    await run(calls)
    assert counted(metrics, "OVERLOADED") == 3


async def test_the_callers_time_ends_the_work(work: Work, metrics: Metrics) -> None:
    work.seconds = 5
    with pytest.raises(DeadlineExceeded):
        await run(calls_with(work, metrics), timeout_s=0.05)
    assert work.gone


async def test_a_caller_that_goes_ends_the_work(work: Work, metrics: Metrics) -> None:
    work.seconds = 5
    task = asyncio.create_task(run(calls_with(work, metrics)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.gone
    assert counted(metrics, "CANCELLED") == 1


async def test_a_fault_of_ours_is_logged_and_not_told(work: Work, metrics: Metrics, caplog: Any) -> None:
    work.failure = RuntimeError("a secret")
    with pytest.raises(InternalError) as caught:
        await run(calls_with(work, metrics))
    assert "a secret" not in caught.value.message
    assert "a secret" in caplog.text


async def test_nothing_stays_in_flight_however_calls_end(work: Work, metrics: Metrics) -> None:
    calls = calls_with(work, metrics)
    await run(calls)
    work.failure = RuntimeError("x")
    with pytest.raises(InternalError):
        await run(calls)
    work.seconds = 5
    with pytest.raises(DeadlineExceeded):
        await run(calls, timeout_s=0.01)
    task = asyncio.create_task(run(calls))
    await asyncio.sleep(0.01)
    assert in_flight(metrics) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert in_flight(metrics) == 0
    assert calls.methods["Recognize"].lane.admission.in_flight == 0
    assert [counted(metrics, outcome) for outcome in ("OK", "INTERNAL", "DEADLINE_EXCEEDED", "CANCELLED")] == [1] * 4


@pytest.mark.parametrize(("timeout_s", "said"), [(0.0274, "which had 27 ms left"), (0.0, "had less than 1 ms left")])
async def test_what_was_left_of_the_callers_time_is_said_in_milliseconds(
    work: Work, metrics: Metrics, timeout_s: float, said: str
) -> None:
    work.seconds = 5
    with pytest.raises(DeadlineExceeded, match=said):
        await run(calls_with(work, metrics), timeout_s=timeout_s)


async def test_a_time_that_is_over_already_ends_the_call(work: Work, metrics: Metrics) -> None:
    work.seconds = 5
    for timeout_s in (0.0, -1.0):
        with pytest.raises(DeadlineExceeded):
            await run(calls_with(work, metrics), timeout_s=timeout_s)


async def test_a_timeout_inside_the_work_is_not_the_callers(work: Work, metrics: Metrics) -> None:
    work.failure = TimeoutError("a disk that does not answer")
    with pytest.raises(InternalError):
        await run(calls_with(work, metrics), timeout_s=5)
    assert counted(metrics, "INTERNAL") == 1


async def test_the_catalogue_has_bounds_of_its_own(work: Work, metrics: Metrics) -> None:
    calls = calls_with(work, metrics, max_in_flight=1, max_catalog_in_flight=1)
    work.seconds = 0.1
    searching = asyncio.create_task(run(calls))
    await asyncio.sleep(0)
    assert await calls.run("ListProducts", given(pb.ListProductsRequest()), {}, None) is not None
    await searching


def test_every_method_of_the_contract_is_served(work: Work, metrics: Metrics) -> None:
    served = {(method.service, method.name) for method in calls_with(work, metrics).methods.values()}
    services = pb.DESCRIPTOR.services_by_name.values()
    assert served == {(service.full_name, method.name) for service in services for method in service.methods}
    for method in calls_with(work, metrics).methods.values():
        described = pb.DESCRIPTOR.services_by_name[method.service.rpartition(".")[2]].methods_by_name[method.name]
        assert method.request.DESCRIPTOR is described.input_type
        assert method.response.DESCRIPTOR is described.output_type


def test_a_long_message_fits_into_grpc_trailers() -> None:
    status = error_status(GatewayError(Reason.INTERNAL, "漢" * 10_000))
    assert len(status.message.encode()) < 1100
    assert status.message.endswith("…")


def test_every_reason_has_its_two_statuses() -> None:
    assert set(STATUS_OF) == set(Reason)


def test_a_grpc_error_carries_its_reason_and_when_to_come_back() -> None:
    status = error_status(Overloaded(3, 0.25))
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info) and status.details[1].Unpack(retry)
    assert (info.reason, info.domain, retry.retry_delay.ToMilliseconds()) == ("OVERLOADED", "framelens", 250)
    assert len(error_status(GatewayError(Reason.INTERNAL, "x")).details) == 1


def test_a_permit_comes_back_when_its_holder_fails() -> None:
    admission = Admission(1)
    with pytest.raises(ValueError, match="x"), admission.permit():
        raise ValueError("x")
    with admission.permit():
        assert admission.in_flight == 1


async def test_an_import_does_not_keep_readers_out(work: Work, metrics: Metrics) -> None:
    calls = calls_with(work, metrics, max_catalog_in_flight=1)
    work.seconds = 0.1
    writing = asyncio.create_task(calls.run("UpsertProducts", given(pb.UpsertProductsRequest()), {}, None))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await calls.run("DeleteProducts", given(pb.DeleteProductsRequest()), {}, None)
    reads = {"GetProduct": pb.GetProductRequest(), "ListProducts": pb.ListProductsRequest()}
    assert [await calls.run(name, given(request), {}, None) for name, request in reads.items()]
    await writing


def test_an_import_leaves_permits_to_other_writers() -> None:
    assert GatewaySettings().max_catalog_in_flight > CALLS_IN_FLIGHT


async def test_nothing_is_read_without_a_token_or_a_permit(work: Work, metrics: Metrics) -> None:
    calls = calls_with(work, metrics, tokens=["secret"], max_in_flight=1)

    async def read() -> Message:
        raise AssertionError("it was read")

    with pytest.raises(Unauthenticated):
        await calls.run("Recognize", read, {}, None)
    work.seconds = 0.1
    first = asyncio.create_task(run(calls, "Bearer secret"))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await calls.run("Recognize", read, {"authorization": "Bearer secret"}, None)
    await first


async def test_the_callers_time_begins_before_the_request_is_read(work: Work, metrics: Metrics) -> None:
    async def read() -> Message:
        await asyncio.sleep(60)
        raise AssertionError("not reached")

    calls = calls_with(work, metrics)
    with pytest.raises(DeadlineExceeded):
        await calls.run("Recognize", read, {}, 0.02)
    assert calls.methods["Recognize"].lane.admission.in_flight == 0


async def test_what_is_refused_while_it_is_read_is_counted(work: Work, metrics: Metrics) -> None:
    async def read() -> Message:
        raise InvalidRequest("not a message")

    with pytest.raises(InvalidRequest):
        await calls_with(work, metrics).run("Recognize", read, {}, None)
    assert counted(metrics, "INVALID_ARGUMENT") == 1


@pytest.mark.parametrize("asked", [1e6, None])
async def test_no_deadline_is_longer_than_the_longest(work: Work, metrics: Metrics, asked: float | None) -> None:
    work.seconds = 5
    with pytest.raises(DeadlineExceeded, match="which had 50 ms left"):
        await run(calls_with(work, metrics, max_deadline_s=0.05), timeout_s=asked)
    assert work.gone


async def test_a_request_that_does_not_arrive_gives_its_permit_back(work: Work, metrics: Metrics) -> None:
    calls = calls_with(work, metrics, read_timeout_s=0.05)

    async def read() -> Message:
        await asyncio.sleep(60)
        raise AssertionError("not reached")

    with pytest.raises(NotArrived, match=r"did not arrive in time; send all of it within 0\.05 s"):
        await calls.run("Recognize", read, {}, 60)
    assert counted(metrics, "DEADLINE_EXCEEDED") == 1
    assert calls.methods["Recognize"].lane.admission.in_flight == 0
    work.seconds = 0.1
    await run(calls)


def test_a_message_bounds_every_request(work: Work, metrics: Metrics) -> None:
    methods = calls_with(work, metrics, max_message_bytes=2**20).methods
    assert {method.lane.max_request_bytes for method in methods.values()} == {2**20}
    methods = calls_with(work, metrics, max_picture_bytes=2**20).methods
    most = {name: method.lane.max_request_bytes for name, method in methods.items()}
    assert (most["Recognize"], most["SearchRegion"], most["UpsertProducts"]) == (2**21, 2**21, 2**26)


async def test_a_timeout_inside_the_reading_is_a_fault_of_ours(work: Work, metrics: Metrics) -> None:
    async def read() -> Message:
        raise TimeoutError("a disk that does not answer")

    with pytest.raises(InternalError):
        await calls_with(work, metrics).run("Recognize", read, {}, 5)
