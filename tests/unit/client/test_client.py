# ruff: noqa: S105, S106 (fakes come as fixtures, which have no importable type; tokens are no secrets)
"""Both clients: each test drives the sync client as it is, and the async one through a loop of its own."""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from framelens_client import (
    AsyncClient,
    Bounds,
    Box,
    Client,
    DeadlineExceeded,
    Filter,
    InvalidPicture,
    InvalidRequest,
    NotFound,
    Overloaded,
    Product,
    ProductUpdate,
    ProductUpsert,
    ReferencePicture,
    Retries,
    ServingStatus,
    Timeouts,
    Unreachable,
)
from framelens_client.v1 import framelens_pb2 as pb

CUP = ProductUpsert(
    Product("p1", "Cup", "http://shop/p1", "Shop", "cups", 9.5, "EUR"),
    (ReferencePicture(b"one"), ReferencePicture(b"two", Box(0.0, 0.0, 0.5, 1.0))),
)


def test_the_two_clients_have_the_same_methods() -> None:
    def signatures(client: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(client, inspect.isfunction)
        return {name: list(inspect.signature(method).parameters) for name, method in methods if name[0] != "_"}

    assert signatures(Client) == signatures(AsyncClient)
    assert str(inspect.signature(Client)) == str(inspect.signature(AsyncClient))


def test_recognize_sends_what_was_asked_for(gateway: Any, connect: Callable[..., Any], picture: Path) -> None:
    wanted = Filter(categories=("cups",), merchants=("a", "b"), min_price=1.5)
    answer = connect().recognize(
        picture, top_k=3, min_score=0.5, filter=wanted, min_object_score=0.25, max_objects=2, timeout_s=9
    )
    call = gateway.calls[0]
    assert call.request == pb.RecognizeRequest(
        picture=picture.read_bytes(),
        search=pb.SearchOptions(
            top_k=3, min_score=0.5, filter=pb.Filter(categories=["cups"], merchants=["a", "b"], min_price=1.5)
        ),
        min_object_score=0.25,
        max_objects=2,
    )
    assert 8 < call.remaining_s < 9.5
    cup, person = answer.objects
    assert (cup.label, cup.route, cup.next_page_token) == ("cup", "products", "more")
    assert cup.box.x_max == pytest.approx(0.6)
    assert [match.price for match in cup.matches] == [19.9, None]
    assert (person.matches, person.note) == ((), "no videos")
    assert answer.served.stages_ms == {"decode": 5.8, "total": 34.25}
    assert (answer.served.picture.width, answer.served.picture.height) == (640, 480)


def test_what_is_not_given_is_absent_from_the_request(gateway: Any, connect: Callable[..., Any]) -> None:
    connect().recognize(b"picture")
    assert gateway.calls[0].request == pb.RecognizeRequest(picture=b"picture", search=pb.SearchOptions())


def test_search_region(gateway: Any, connect: Callable[..., Any]) -> None:
    answer = connect().search_region(b"picture", Box(0, 0.25, 0.5, 1), page_token="next")
    assert gateway.calls[0].request.page_token == "next"
    assert answer.region == Box(0, 0.25, 0.5, 1)
    assert [match.id for match in answer.matches] == ["p1", "p2"]
    assert answer.next_page_token == "more"


def test_the_key_goes_with_each_search(gateway: Any, connect: Callable[..., Any]) -> None:
    client = connect()
    client.recognize(b"picture", key="user-1")
    client.search_region(b"picture", Box(0, 0, 1, 1), key="user-2")
    assert [call.request.key for call in gateway.calls] == ["user-1", "user-2"]


def test_update_products(gateway: Any, connect: Callable[..., Any]) -> None:
    gateway.products["p1"] = pb.ProductUpsert(product=pb.Product(id="p1", title="Cup", price=2))
    client = connect()
    updates = [ProductUpdate("p1", price=1.5, availability="in_stock", boost=0.1), ProductUpdate("p2", title="")]
    stored, missing = client.update_products(updates)
    assert gateway.calls[0].request == pb.UpdateProductsRequest(
        updates=[
            pb.ProductUpdate(id="p1", price=1.5, availability="in_stock", boost=0.1),
            pb.ProductUpdate(id="p2", title=""),
        ]
    )
    assert (stored.id, stored.error) == ("p1", None)
    assert (missing.id, missing.error.reason) == ("p2", "NOT_FOUND")
    product = client.get_product("p1").product
    assert product == Product("p1", "Cup", price=1.5, availability="in_stock", boost=0.1)


def test_a_trial(gateway: Any, connect: Callable[..., Any], canary_trial: pb.Trial) -> None:
    client, gateway.trial = connect(), canary_trial
    trial = client.start_trial("canary", 0.1, engine="detector__candidate", bounds=Bounds(max_p99_ms=80))
    assert gateway.calls[0].request == pb.StartTrialRequest(
        kind="canary", share=0.1, engine="detector__candidate", bounds=pb.Bounds(max_p99_ms=80)
    )
    assert (trial.state, trial.canary.candidate.requests, trial.canary.bounds.max_p99_ms) == ("running", 122, None)
    assert (trial.ended_at, trial.shadow) == (None, None)
    assert client.trial() == client.stop_trial() == trial
    assert [call.method for call in gateway.calls] == ["StartTrial", "GetTrial", "StopTrial"]
    client.start_trial("shadow", 1, space="next")
    assert gateway.calls[-1].request == pb.StartTrialRequest(kind="shadow", share=1, space="next")


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.recognize(b"picture", top_k=3_000_000_000),
        lambda client: client.recognize(b"picture", key="\udcff"),
        lambda client: client.search_region(b"picture", Box(0, 0, "x", 1)),
        lambda client: client.upsert_products([ProductUpsert(Product("\udcff"), ())]),
        lambda client: client.delete_products(["p", "\udcff"]),
        lambda client: client.get_product("\udcff"),
        lambda client: client.list_products(filter=Filter(categories=("\udcff",))),
        lambda client: client.start_trial("shadow", "all", space="next"),
    ],
)
def test_what_no_message_can_carry_is_refused_unsent(
    gateway: Any, connect: Callable[..., Any], ask: Callable[[Any], Any]
) -> None:
    with pytest.raises(InvalidRequest, match="the request cannot be sent") as refused:
        ask(connect())
    assert refused.value.reason == "INVALID_ARGUMENT"
    assert gateway.calls == []


@pytest.mark.parametrize("candidate", [{}, {"engine": "detector__candidate", "space": "next"}])
def test_a_trial_has_one_candidate(gateway: Any, connect: Callable[..., Any], candidate: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="one candidate"):
        connect().start_trial("canary", 0.1, **candidate)
    assert gateway.calls == []


def test_products(gateway: Any, connect: Callable[..., Any]) -> None:
    client = connect()
    assert [result.error for result in client.upsert_products([CUP]).results] == [None]
    stored = client.get_product("p1")
    assert stored.product == CUP.product
    assert [picture.region for picture in stored.pictures] == [None, Box(0.0, 0.0, 0.5, 1.0)]
    deletion = client.delete_products(["p1", "p9"])
    assert (deletion.deleted, deletion.missing) == (("p1",), ("p9",))
    with pytest.raises(NotFound, match='no product "p1"'):
        client.get_product("p1")


def test_a_refused_product_comes_with_its_reason(gateway: Any, connect: Callable[..., Any]) -> None:
    gateway.row_errors["p1"] = [pb.RowError(reason="INVALID_PICTURE", message="truncated")]
    (result,) = connect().upsert_products([CUP]).results
    assert (result.id, result.error.reason, result.error.message) == ("p1", "INVALID_PICTURE", "truncated")


def test_all_products_turns_the_pages(gateway: Any, connect: Callable[..., Any]) -> None:
    gateway.products = {f"p{n}": pb.ProductUpsert(product=pb.Product(id=f"p{n}")) for n in range(7)}
    found = [stored.product.id for stored in connect().all_products(page_size=3)]
    assert found == [f"p{n}" for n in range(7)]
    assert len(gateway.calls) == 3


def test_the_token_goes_with_each_call(gateway: Any, connect: Callable[..., Any]) -> None:
    connect(token="secret").recognize(b"picture")
    assert gateway.calls[0].metadata["authorization"] == "Bearer secret"


def test_no_token_no_header(gateway: Any, connect: Callable[..., Any]) -> None:
    connect().recognize(b"picture")
    assert "authorization" not in gateway.calls[0].metadata


def test_health(gateway: Any, connect: Callable[..., Any]) -> None:
    client = connect()
    assert client.health().ready
    assert client.health().details == {}
    gateway.details = {"triton": "image operations: CPU, because of ä"}
    assert client.health().details == gateway.details
    gateway.health["framelens.v1.Catalog"] = 2
    health = client.health()
    assert not health.ready
    assert (health.gateway, health.catalog) == (ServingStatus.SERVING, ServingStatus.NOT_SERVING)
    gateway.health = {"framelens.v1.Trials": 2}
    health = client.health()
    assert not health.ready
    assert (health.catalog, health.trials) == (ServingStatus.SERVING, ServingStatus.NOT_SERVING)


def test_an_overloaded_gateway_is_asked_again_when_it_said(
    gateway: Any, connect: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    client = connect()
    gateway.failures += [fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=0.3)]
    started = time.monotonic()
    client.recognize(b"picture")
    assert time.monotonic() - started >= 0.3
    assert len(gateway.calls) == 2
    assert gateway.calls[1].remaining_s < gateway.calls[0].remaining_s - 0.25, "both attempts share one deadline"


def test_no_retry_that_the_deadline_has_no_room_for(
    gateway: Any, connect: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    client = connect()
    gateway.failures += [fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=30)]
    started = time.monotonic()
    with pytest.raises(Overloaded):
        client.recognize(b"picture", timeout_s=5)
    assert time.monotonic() - started < 3
    assert len(gateway.calls) == 1


@pytest.mark.parametrize("method", ["recognize", "upsert_products", "delete_products", "get_product", "list_products"])
def test_reads_and_idempotent_writes_are_retried_when_unreachable(
    gateway: Any, connect: Callable[..., Any], fail: Callable[..., Any], method: str
) -> None:
    gateway.products["p1"] = pb.ProductUpsert(product=pb.Product(id="p1"))
    arguments: dict[str, tuple[Any, ...]] = {
        "recognize": (b"picture",),
        "upsert_products": ([CUP],),
        "delete_products": (["p1"],),
        "get_product": ("p1",),
    }
    client = connect()
    gateway.failures += [fail(grpc.StatusCode.UNAVAILABLE)] * 2
    getattr(client, method)(*arguments.get(method, ()))
    assert len(gateway.calls) == 3


def test_attempts_are_bounded(gateway: Any, connect: Callable[..., Any], fail: Callable[..., Any]) -> None:
    client = connect(retries=Retries(attempts=2, unreachable_attempts=4, first_delay_s=0.001))
    gateway.failures += [fail(grpc.StatusCode.UNAVAILABLE)] * 4
    with pytest.raises(Unreachable):
        client.recognize(b"picture")
    assert len(gateway.calls) == 4
    gateway.failures += [fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")] * 2
    with pytest.raises(Overloaded):
        client.recognize(b"picture")
    assert len(gateway.calls) == 6


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PICTURE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.UNAVAILABLE, "MILVUS_UNAVAILABLE"),
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
def test_other_failures_are_raised_at_once(
    gateway: Any, connect: Callable[..., Any], fail: Callable[..., Any], code: grpc.StatusCode, reason: str
) -> None:
    client = connect()
    gateway.failures += [fail(code, reason)]
    with pytest.raises(Exception, match="as the test wished") as raised:
        client.recognize(b"picture")
    assert raised.value.reason == reason  # type: ignore[attr-defined]
    assert len(gateway.calls) == 1


def test_a_deadline_ends_the_call(gateway: Any, connect: Callable[..., Any]) -> None:
    gateway.before_upsert = lambda *_: time.sleep(1.5)
    client = connect(timeouts=Timeouts(write_s=0.3))
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        client.upsert_products([CUP])
    assert time.monotonic() - started < 1
    assert len(gateway.calls) == 1


def test_nobody_at_the_address(connect: Callable[..., Any]) -> None:
    with pytest.raises(Unreachable):
        connect(address="127.0.0.1:1", retries=Retries(unreachable_attempts=2)).recognize(b"picture")


def test_a_client_survives_the_restart_of_its_gateway(
    connect: Callable[..., Any], make_gateway: Callable[..., Any], start: Callable[..., Any]
) -> None:
    fake = make_gateway()
    server = start(fake)
    client = connect(address=fake.address)
    client.recognize(b"picture")
    server.stop(None).wait()

    def start_later() -> None:
        time.sleep(1.7)
        start(fake, int(fake.address.rpartition(":")[2]))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(start_later)
        client.recognize(b"picture", timeout_s=20)
        coming.result()
    assert len(fake.calls) == 2


def test_a_picture_of_20_mb_passes(gateway: Any, connect: Callable[..., Any]) -> None:
    connect().recognize(b"x" * 20_000_000)
    assert len(gateway.calls[0].request.picture) == 20_000_000


def test_an_invalid_picture_keeps_the_servers_words(
    gateway: Any, connect: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    gateway.failures += [fail(grpc.StatusCode.INVALID_ARGUMENT, "UNSUPPORTED_FORMAT", "a PDF is no picture")]
    with pytest.raises(InvalidPicture, match="a PDF is no picture"):
        connect().recognize(b"%PDF")


def test_one_client_serves_many_threads(gateway: Any) -> None:
    with Client(gateway.address) as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.recognize(b"picture"), range(200)))
    assert len(answers) == len(gateway.calls) == 200


async def test_context_manager_and_concurrent_calls(gateway: Any) -> None:
    async with AsyncClient(gateway.address) as client:
        answers = await asyncio.gather(*(client.recognize(b"picture") for _ in range(50)))
    assert len(answers) == len(gateway.calls) == 50


async def test_cancelling_a_task_cancels_its_call(gateway: Any) -> None:
    arrived, cancelled = threading.Event(), threading.Event()

    def wait(request: pb.UpsertProductsRequest, context: grpc.ServicerContext) -> None:
        context.add_callback(cancelled.set)
        arrived.set()
        cancelled.wait(5)

    gateway.before_upsert = wait
    async with AsyncClient(gateway.address) as client:
        task = asyncio.create_task(client.upsert_products([CUP]))
        assert await asyncio.to_thread(arrived.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(cancelled.wait, 4)
