"""Merged searches: who shares a call, who is dropped, who is told of a failure."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from framelens_gateway.index import Hit, Vector
from framelens_gateway.merging import SearchKey, SearchMerger

KEY = SearchKey("c", "", 10)


class SlowIndex:
    """Answers each vector with itself, when it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[Vector]] = []
        self.gate = asyncio.Event()
        self.failure: Exception | None = None

    async def search(self, collection: str, vectors: Sequence[Vector], limit: int, expression: str) -> list[list[Hit]]:
        self.batches.append(list(vectors))
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return [[Hit(1.0, {"vector": vector})] for vector in vectors]


@pytest.fixture
async def index() -> SlowIndex:
    return SlowIndex()


async def ask(merger: SearchMerger, *vectors: int, key: SearchKey = KEY) -> list[int]:
    return [hits[0].row["vector"] for hits in await merger.search(key, vectors)]  # type: ignore[arg-type]


async def test_what_arrives_during_a_call_goes_out_together(index: SlowIndex) -> None:
    merger = SearchMerger(index)  # type: ignore[arg-type]
    first = asyncio.create_task(ask(merger, 0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = [asyncio.create_task(ask(merger, n, n + 100)) for n in range(1, 6)]
    await asyncio.sleep(0)
    index.gate.set()
    assert await first == [0]
    assert await asyncio.gather(*rest) == [[n, n + 100] for n in range(1, 6)]
    assert [len(batch) for batch in index.batches] == [1, 10]


async def test_a_caller_that_has_gone_costs_nothing(index: SlowIndex) -> None:
    merger = SearchMerger(index)  # type: ignore[arg-type]
    first = asyncio.create_task(ask(merger, 0))
    await asyncio.sleep(0.01)
    gone, stays = asyncio.create_task(ask(merger, 1)), asyncio.create_task(ask(merger, 2))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0.01)
    index.gate.set()
    assert await stays == [2]
    assert await first == [0]
    assert index.batches == [[0], [2]]


async def test_a_failure_reaches_every_caller_and_the_next_call_works(index: SlowIndex) -> None:
    merger = SearchMerger(index)  # type: ignore[arg-type]
    index.gate.set()
    index.failure = RuntimeError("away")
    outcomes = await asyncio.gather(*(ask(merger, n) for n in range(3)), return_exceptions=True)
    assert all(isinstance(outcome, RuntimeError) for outcome in outcomes)
    index.failure = None
    assert await ask(merger, 7) == [7]


async def test_different_questions_do_not_wait_for_each_other(index: SlowIndex) -> None:
    merger = SearchMerger(index)  # type: ignore[arg-type]
    asked = [asyncio.create_task(ask(merger, n, key=SearchKey("c", str(n), 10))) for n in range(3)]
    await asyncio.sleep(0.01)
    assert len(index.batches) == 3
    index.gate.set()
    assert await asyncio.gather(*asked) == [[0], [1], [2]]


async def test_random_cancellation_mixes_up_no_answers(index: SlowIndex) -> None:
    merger, draw = SearchMerger(index), random.Random(3)  # type: ignore[arg-type]
    index.gate.set()
    tasks = [asyncio.create_task(ask(merger, n)) for n in range(300)]
    for task in draw.sample(tasks, 100):
        task.cancel()
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for n, outcome in enumerate(outcomes):
        assert isinstance(outcome, asyncio.CancelledError) or outcome == [n]
    await asyncio.sleep(0.01)
    assert await ask(merger, 1) == [1]
