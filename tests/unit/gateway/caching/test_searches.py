"""Hits are given again until their collection is written to, and never after."""

import asyncio

import pytest
from gateway_fakes import SPACE, FakeIndex, product_row, unit
from prometheus_client import CollectorRegistry

from framelens_client.reasons import Reason
from framelens_gateway.caching.searches import CachedRows
from framelens_gateway.errors import Unavailable
from framelens_gateway.metrics import CacheMetrics

COLLECTION = f"products__{SPACE}"
CUP, BOWL = unit(1), unit(0, 1)


@pytest.fixture
def index() -> FakeIndex:
    index = FakeIndex()
    index.add(product_row("cup", vector=CUP), product_row("bowl", vector=BOWL))
    return index


@pytest.fixture
def cached(index: FakeIndex) -> CachedRows:
    return CachedRows(index, 60.0, CacheMetrics(CollectorRegistry()))


async def first(cached: CachedRows, vector: object = CUP, expression: str = "", limit: int = 16) -> str:
    ((best, *_),) = await cached.search(COLLECTION, [vector], limit, expression)
    return str(best.row["product_id"])


async def test_the_same_search_is_made_once(index: FakeIndex, cached: CachedRows) -> None:
    assert [await first(cached) for _ in range(3)] == ["cup"] * 3
    assert len(index.of("search")) == 1


@pytest.mark.parametrize("other", [{"vector": BOWL}, {"expression": 'product_id != "cup"'}, {"limit": 64}])
async def test_another_search_is_another(index: FakeIndex, cached: CachedRows, other: dict[str, object]) -> None:
    await first(cached)
    await first(cached, **other)
    assert len(index.of("search")) == 2


async def test_only_what_is_not_known_is_asked(index: FakeIndex, cached: CachedRows) -> None:
    await first(cached)
    cups, bowls, again = await cached.search(COLLECTION, [CUP, BOWL, CUP], 16, "")
    assert [hits[0].row["product_id"] for hits in (cups, bowls, again)] == ["cup", "bowl", "cup"]
    assert [call[1] for call in index.of("search")] == [1, 1]


async def test_a_write_is_seen_at_once(cached: CachedRows) -> None:
    assert await first(cached) == "cup"
    await cached.upsert(COLLECTION, [product_row("cup", vector=BOWL), product_row("better", vector=CUP)])
    assert await first(cached) == "better"
    await cached.delete(COLLECTION, 'product_id == "better"')
    assert await first(cached) != "better"


async def test_a_write_of_unknown_outcome_ends_what_is_known(index: FakeIndex, cached: CachedRows) -> None:
    await first(cached)
    index.fail("upsert", Unavailable(Reason.MILVUS_UNAVAILABLE, "gone"))
    with pytest.raises(Unavailable):
        await cached.upsert(COLLECTION, [product_row("better", vector=CUP)])
    await first(cached)
    assert len(index.of("search")) == 2


async def test_an_answer_from_before_a_write_is_not_kept_after_it(index: FakeIndex, cached: CachedRows) -> None:
    gate = asyncio.Event()
    index.fail("search", gate=gate)
    early = asyncio.create_task(first(cached))
    await asyncio.sleep(0.01)
    await cached.upsert(COLLECTION, [product_row("cup", vector=BOWL), product_row("better", vector=CUP)])
    gate.set()
    await early
    assert await first(cached) == "better"
    assert len(index.of("search")) == 2


async def test_writes_of_others_are_seen_after_a_moment(index: FakeIndex) -> None:
    cached = CachedRows(index, 0.05, CacheMetrics(CollectorRegistry()))
    await first(cached)
    index.add(product_row("cup", vector=BOWL), product_row("better", vector=CUP))
    await asyncio.sleep(0.06)
    assert await first(cached) == "better"


async def test_a_failure_is_not_kept(index: FakeIndex, cached: CachedRows) -> None:
    index.fail("search", Unavailable(Reason.MILVUS_UNAVAILABLE, "gone"))
    with pytest.raises(Unavailable):
        await first(cached)
    index.faults.clear()
    assert await first(cached) == "cup"
