"""MilvusIndex against a real Milvus Lite, also when it dies."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from gateway_fakes import SIZE, SPACE, MilvusLite, free_port, product_row, unit
from pymilvus import MilvusClient, MilvusException

from framelens_client.reasons import Reason
from framelens_gateway.errors import Unavailable
from framelens_gateway.filters import one_of
from framelens_gateway.index import Collection, MilvusIndex, next_of, previous_of
from framelens_gateway.index_types import IndexSettings
from framelens_gateway.milvus import CollectionGone
from framelens_gateway.product_collection import HIT_FIELDS


@pytest.fixture
def alias() -> str:
    return f"alias_{uuid4().hex[:8]}"


@pytest.fixture
def client(milvus: MilvusLite) -> Iterator[MilvusClient]:
    plain = MilvusClient(milvus.uri, dedicated=True)
    yield plain
    plain.close()


@pytest.fixture
async def collection(milvus_index: MilvusIndex, alias: str) -> str:
    return (await milvus_index.create(alias, SPACE, SIZE)).name


@pytest.fixture
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusLite]:
    server = MilvusLite(tmp_path_factory.mktemp("mortal"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def mortal_index(mortal: MilvusLite) -> AsyncIterator[MilvusIndex]:
    index = MilvusIndex(mortal.uri, "", IndexSettings("HNSW"), 3, 0.2)
    yield index
    await index.close()


async def test_creates_a_collection_behind_its_alias(milvus_index: MilvusIndex, alias: str) -> None:
    assert await milvus_index.resolve(alias) is None
    made = await milvus_index.create(alias, SPACE, SIZE)
    assert made == Collection(f"{alias}__{SPACE}", SPACE, SIZE)
    assert await milvus_index.resolve(alias) == made
    assert await milvus_index.create(alias, SPACE, SIZE) == made


async def test_gateways_may_create_at_once(milvus: MilvusLite, milvus_index: MilvusIndex, alias: str) -> None:
    other = MilvusIndex(milvus.uri, "", IndexSettings("HNSW"), 3, 0.2)
    made = await asyncio.gather(*(each.create(alias, SPACE, SIZE) for each in (milvus_index, other) * 3))
    await other.close()
    assert set(made) == {Collection(f"{alias}__{SPACE}", SPACE, SIZE)}


async def test_a_creation_that_ended_half_way_is_completed(
    milvus_index: MilvusIndex, client: MilvusClient, alias: str
) -> None:
    await milvus_index.create(alias, SPACE, SIZE)
    client.drop_alias(alias)
    client.release_collection(f"{alias}__{SPACE}")
    client.drop_index(f"{alias}__{SPACE}", "embedding")
    await asyncio.sleep(0.3)
    assert await milvus_index.resolve(alias) is None
    made = await milvus_index.create(alias, SPACE, SIZE)
    await milvus_index.upsert(made.name, [product_row("a")])
    assert await milvus_index.search(made.name, [unit(1)], 1, "")


async def test_an_alias_switch_is_followed_after_its_ttl(
    milvus_index: MilvusIndex, client: MilvusClient, alias: str
) -> None:
    second = await milvus_index.create(f"{alias}_b", "embedder_new", SIZE)
    await milvus_index.create(alias, SPACE, SIZE)
    await asyncio.sleep(0.25)
    first = await milvus_index.resolve(alias)
    client.alter_alias(second.name, alias)
    assert await milvus_index.resolve(alias) == first
    await asyncio.sleep(0.25)
    assert await milvus_index.resolve(alias) == second


async def test_writes_reach_each_collection_behind_the_three_aliases_once(
    milvus_index: MilvusIndex, client: MilvusClient, alias: str
) -> None:
    assert await milvus_index.written(alias) == []
    live = await milvus_index.create(alias, SPACE, SIZE)
    other = await milvus_index.create(f"{alias}_b", "embedder_new", SIZE)
    assert await milvus_index.written(alias) == [live]
    client.create_alias(other.name, next_of(alias))
    assert await milvus_index.written(alias) == [live, other]
    client.create_alias(live.name, previous_of(alias))
    assert await milvus_index.written(alias) == [live, other]
    client.alter_alias(other.name, alias)
    assert await milvus_index.written(alias) == [other, live]


async def test_aliases_that_change_while_they_are_read_are_read_again(
    milvus_index: MilvusIndex, client: MilvusClient, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A switch between two of the reads could otherwise hide the collection that is to be the live one."""
    live = await milvus_index.create(alias, SPACE, SIZE)
    other = await milvus_index.create(f"{alias}_b", "embedder_new", SIZE)
    client.create_alias(other.name, next_of(alias))
    real, reads = milvus_index._read_alias, []

    def read(connected: MilvusClient, name: str) -> Collection | None:
        reads.append(name)
        found = real(connected, name)
        if len(reads) == 1:
            client.create_alias(live.name, previous_of(alias))
            client.alter_alias(other.name, alias)
            client.drop_alias(next_of(alias))
        return found

    monkeypatch.setattr(milvus_index, "_read_alias", read)
    assert await milvus_index.written(alias) == [other, live]
    assert len(reads) == 9


@pytest.mark.parametrize("index_type", ["HNSW", "FLAT", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX"])
async def test_each_index_is_searched_with_its_own_parameters(
    milvus: MilvusLite, milvus_index: MilvusIndex, alias: str, index_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = MilvusIndex(milvus.uri, "", IndexSettings(index_type), 3, 0.2)
    name = (await other.create(alias, SPACE, SIZE)).name
    await other.close()
    await milvus_index.upsert(name, [product_row(f"p{n}") for n in range(20)])
    asked: list[Any] = []
    real = MilvusClient.search
    monkeypatch.setattr(MilvusClient, "search", lambda self, *a, **k: (asked.append(k), real(self, *a, **k))[1])
    assert len((await milvus_index.search(name, [unit(1)], 10, ""))[0]) == 10
    expected = {"HNSW": {"ef"}, "IVF_FLAT": {"nprobe"}, "IVF_SQ8": {"nprobe"}}.get(index_type, set())
    assert set(asked[0]["search_params"]["params"]) == expected


@pytest.mark.parametrize("index_type", ["GPU_CAGRA", "GPU_IVF_FLAT", "GPU_IVF_PQ", "GPU_BRUTE_FORCE"])
async def test_milvus_lite_is_not_given_an_index_for_gpus(
    milvus: MilvusLite, client: MilvusClient, alias: str, index_type: str
) -> None:
    index = MilvusIndex(milvus.uri, "", IndexSettings(index_type), 3, 0.2)
    with pytest.raises(Unavailable, match=f"serves no {index_type} index .* it is Milvus Lite"):
        await index.create(alias, SPACE, SIZE)
    await index.close()
    assert not client.has_collection(f"{alias}__{SPACE}")


async def test_a_milvus_without_a_gpu_is_left_as_it_was(
    milvus: MilvusLite, client: MilvusClient, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise MilvusException(1100, "invalid index type: GPU_CAGRA")

    monkeypatch.setattr(MilvusClient, "get_server_version", lambda *_, **__: "v2.6.4")
    monkeypatch.setattr(MilvusClient, "create_index", refuse)
    index = MilvusIndex(milvus.uri, "", IndexSettings("GPU_CAGRA"), 3, 0.2)
    with pytest.raises(Unavailable, match=r"invalid index type: GPU_CAGRA; use a Milvus that was built for GPUs"):
        await index.create(alias, SPACE, SIZE)
    await index.close()
    assert not client.has_collection(f"{alias}__{SPACE}")


async def test_a_name_that_is_given_again_is_searched_as_what_it_is_now(
    milvus: MilvusLite, milvus_index: MilvusIndex, client: MilvusClient, alias: str
) -> None:
    name = (await milvus_index.create(alias, SPACE, SIZE)).name
    await milvus_index.search(name, [unit(1)], 1, "")
    assert milvus_index._index_types[name] == "HNSW"
    client.drop_alias(alias)
    client.drop_collection(name)
    other = MilvusIndex(milvus.uri, "", IndexSettings("FLAT"), 3, 0.2)
    await other.create(alias, SPACE, SIZE)
    await other.close()
    await asyncio.sleep(0.25)
    assert await milvus_index.resolve(alias)
    await milvus_index.search(name, [unit(1)], 1, "")
    assert milvus_index._index_types[name] == "FLAT"


async def test_many_who_need_an_alias_share_one_read(
    milvus_index: MilvusIndex, collection: str, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.sleep(0.25)
    reads: list[str] = []
    real = milvus_index._read_alias
    monkeypatch.setattr(milvus_index, "_read_alias", lambda c, name: (reads.append(name), real(c, name))[1])
    waiting = [asyncio.create_task(milvus_index.resolve(alias)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert len(reads) == 1
    assert {each.name for each in found[1:] if isinstance(each, Collection)} == {collection}
    assert milvus_index._alias_reads == {}


async def test_a_collection_that_does_not_say_its_space_is_refused(
    milvus_index: MilvusIndex, client: MilvusClient, alias: str
) -> None:
    client.create_collection(f"{alias}_bare", dimension=SIZE)
    client.create_alias(f"{alias}_bare", alias)
    with pytest.raises(Unavailable, match="does not say its space") as refused:
        await milvus_index.resolve(alias)
    assert refused.value.reason is Reason.SPACE_MISMATCH


async def test_searches_best_first_with_what_an_answer_shows(milvus_index: MilvusIndex, collection: str) -> None:
    rows = [product_row(f"p{n}", vector=unit(1, 0.5 * n), price=None if n else 2.5) for n in range(5)]
    await milvus_index.upsert(collection, rows)
    first, second = await milvus_index.search(collection, [unit(1), unit(1, 2)], 3, "")
    assert [hit.row["product_id"] for hit in first] == ["p0", "p1", "p2"]
    assert first[0].score == pytest.approx(1, abs=1e-5)
    assert second[0].row["product_id"] == "p4"
    assert first[0].row == {name: rows[0][name] for name in HIT_FIELDS}
    assert first[1].row["price"] is None
    assert await milvus_index.search(collection, [unit(1)], 3, 'merchant == "nobody"') == [[]]


async def test_rows_come_in_the_order_of_their_ids_however_they_were_written(
    milvus_index: MilvusIndex, collection: str
) -> None:
    names = ["a", "a b", "a!", "aa", "b", "é", "漢"]
    for turn in (names[::-1], names[::2], names[1::2]):
        await milvus_index.upsert(collection, [product_row(name, n) for name in turn for n in (1, 0)])
        await milvus_index.flush(collection)
    await milvus_index.upsert(collection, [product_row("a c")])
    in_order = ["a", "a b", "a c", "a!", "aa", "b", "é", "漢"]
    rows = await milvus_index.query(collection, "ordinal == 0", 100)
    assert [row["product_id"] for row in rows] == in_order
    rows = await milvus_index.query(collection, 'ordinal == 0 and product_id > "a b"', 3)
    assert [row["product_id"] for row in rows] == ["a c", "a!", "aa"]


async def test_replaces_and_deletes(milvus_index: MilvusIndex, collection: str) -> None:
    await milvus_index.upsert(collection, [product_row("p", n) for n in range(3)] + [product_row("q")])
    await milvus_index.upsert(collection, [product_row("p", 0, title="new")])
    await milvus_index.delete(collection, one_of("row_id", ["p\x1f01"]))
    rows = await milvus_index.query(collection, one_of("product_id", ["p"]), 10)
    assert [(row["ordinal"], row["title"]) for row in rows] == [(0, "new"), (2, "Title of p")]
    await milvus_index.delete(collection, one_of("product_id", ["p"]))
    assert [row["product_id"] for row in await milvus_index.query(collection, "ordinal >= 0", 10)] == ["q"]


async def test_a_thousand_long_ids_fit_into_one_expression(milvus_index: MilvusIndex, collection: str) -> None:
    await milvus_index.upsert(collection, [product_row("p")])
    ids = [f"{n:04}" + '"\\' * 126 for n in range(999)] + ["p"]
    rows = await milvus_index.query(collection, one_of("product_id", ids), 16_000)
    assert [row["product_id"] for row in rows] == ["p"]


async def test_a_released_collection_is_loaded_again(
    milvus_index: MilvusIndex, client: MilvusClient, collection: str
) -> None:
    await milvus_index.upsert(collection, [product_row("p")])
    client.release_collection(collection)
    assert len((await milvus_index.search(collection, [unit(1)], 5, ""))[0]) == 1


@pytest.mark.parametrize(
    "work",
    [
        lambda index, name: index.query(name, 'product_id == "a', 1),
        lambda index, name: index.query(name, "no_such_field == 1", 1),
        lambda index, name: index.upsert(name, [product_row("p", vector=np.zeros(3, np.float32))]),
    ],
    ids=["expression", "field", "width"],
)
async def test_a_request_that_is_wrong_is_no_outage(
    milvus_index: MilvusIndex, collection: str, work: Callable[..., Any]
) -> None:
    with pytest.raises(MilvusException):
        await work(milvus_index, collection)
    assert await milvus_index.ready()


async def test_a_collection_that_is_gone_says_so(milvus_index: MilvusIndex) -> None:
    with pytest.raises(CollectionGone, match="nowhere") as refused:
        await milvus_index.query("nowhere", "ordinal == 0", 1)
    assert refused.value.reason is Reason.MILVUS_UNAVAILABLE


async def test_nobody_listening_fails_at_once() -> None:
    index = MilvusIndex(f"http://127.0.0.1:{free_port()}", "", IndexSettings("HNSW"), 5, 0.5)
    started = time.monotonic()
    outcomes = await asyncio.gather(*(index.resolve(f"a{n}") for n in range(40)), return_exceptions=True)
    assert time.monotonic() - started < 10
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert not await index.ready()
    await index.close()


async def test_outages_are_told_at_once_and_end_without_a_restart(
    mortal: MilvusLite, mortal_index: MilvusIndex, alias: str
) -> None:
    name = (await mortal_index.create(alias, SPACE, SIZE)).name
    await mortal_index.upsert(name, [product_row("p")])
    unforeseen: list[BaseException] = []
    slowest = 0.0
    stop = asyncio.Event()

    async def ask_on_and_on() -> None:
        nonlocal slowest
        while not stop.is_set():
            started = time.monotonic()
            try:
                await mortal_index.search(name, [unit(1)], 1, "")
            except Unavailable:
                await asyncio.sleep(0.01)
            except Exception as error:
                unforeseen.append(error)
            slowest = max(slowest, time.monotonic() - started)

    callers = [asyncio.create_task(ask_on_and_on()) for _ in range(12)]
    for _ in range(2):
        await asyncio.sleep(0.3)
        await asyncio.to_thread(mortal.kill)
        # Long enough for gRPC's own waits to grow.
        await asyncio.sleep(2)
        assert not await mortal_index.ready()
        await asyncio.to_thread(mortal.start)
        back = time.monotonic()
        while not await mortal_index.ready():
            await asyncio.sleep(0.05)
        assert time.monotonic() - back < 10
    stop.set()
    await asyncio.gather(*callers)
    assert unforeseen == []
    assert slowest < 10
    assert len((await mortal_index.search(name, [unit(1)], 1, ""))[0]) == 1


async def test_a_milvus_that_hangs_is_given_up_and_found_again(
    mortal: MilvusLite, mortal_index: MilvusIndex, alias: str
) -> None:
    await mortal_index.create(alias, SPACE, SIZE)
    await asyncio.sleep(0.25)
    assert mortal.process is not None
    os.kill(mortal.process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="DEADLINE_EXCEEDED|Retry timeout"):
        await mortal_index.resolve(alias)
    assert not await mortal_index.ready()
    assert time.monotonic() - started < 10
    os.kill(mortal.process.pid, signal.SIGCONT)
    assert (await mortal_index.resolve(alias)) is not None


async def test_products_are_counted_and_sampled_by_one_picture_of_each(
    milvus_index: MilvusIndex, collection: str
) -> None:
    assert (await milvus_index.products(collection), await milvus_index.sample(collection, 5)) == (0, [])
    first = {f"p{n}": unit(n + 1, 1) for n in range(8)}
    await milvus_index.upsert(collection, [product_row(id_, 0, vector) for id_, vector in first.items()])
    await milvus_index.upsert(collection, [product_row(id_, 1, unit(0, 0, 1)) for id_ in first])
    assert await milvus_index.products(collection) == 8
    for asked, answered in ((5, 5), (100, 8)):
        vectors = await milvus_index.sample(collection, asked)
        assert len(vectors) == answered
        assert all(any(np.allclose(vector, each, atol=1e-6) for each in first.values()) for vector in vectors)
    assert len({vector.tobytes() for vector in await milvus_index.sample(collection, 100)}) == 8
