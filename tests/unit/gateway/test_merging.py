"""Concurrent searches share calls, and no caller is lost or left waiting."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from gateway_fakes import unit

from framelens_client.reasons import Reason
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import Unavailable
from framelens_gateway.index import Hit, Vector
from framelens_gateway.merging import SearchKey, SearchMerger

KEY = SearchKey("products", "", 16)


class SlowIndex:
    """Each call waits for the test to let it go; a hit carries back the vector's first number."""

    def __init__(self) -> None:
        self.calls: list[tuple[SearchKey, list[float]]] = []
        self.gate = asyncio.Semaphore(0)
        self.errors: list[Exception] = []
        self.timeouts_s: list[float] = []
        self.withdrawn: list[list[float]] = []

    async def search(
        self, collection: str, vectors: Sequence[Vector], limit: int, expression: str, timeout_s: float
    ) -> list[list[Hit]]:
        numbers = [float(vector[0]) for vector in vectors]
        self.timeouts_s.append(timeout_s)
        self.calls.append((SearchKey(collection, expression, limit), numbers))
        try:
            await self.gate.acquire()
        except asyncio.CancelledError:
            self.withdrawn.append(numbers)
            raise
        if self.errors:
            raise self.errors.pop()
        return [[Hit(number)] for number in numbers]


def vectors(*numbers: float) -> list[Vector]:
    made = [unit(1) for _ in numbers]
    for vector, number in zip(made, numbers, strict=True):
        vector[0] = number
    return made


def numbers(hits: list[list[Hit]]) -> list[float]:
    return [hit.score for (hit,) in hits]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def slow() -> SlowIndex:
    return SlowIndex()


@pytest.fixture
def merger(slow: SlowIndex) -> SearchMerger:
    return SearchMerger(slow)  # type: ignore[arg-type]


def search(
    merger: SearchMerger, *wanted: float, key: SearchKey = KEY, seconds: float = 5
) -> "asyncio.Task[list[list[Hit]]]":
    return asyncio.create_task(merger.search(key, vectors(*wanted), Deadline.after(seconds)))


async def test_one_alone_goes_at_once_and_those_that_come_meanwhile_share_the_next(
    merger: SearchMerger, slow: SlowIndex
) -> None:
    first = search(merger, 1)
    await settle()
    assert [asked for _, asked in slow.calls] == [[1]]
    others = [search(merger, 2, 3), search(merger, 4), search(merger, 5)]
    await settle()
    assert len(slow.calls) == 1
    slow.gate.release()
    assert numbers(await first) == [1]
    await settle()
    assert [asked for _, asked in slow.calls] == [[1], [2, 3, 4, 5]]
    slow.gate.release()
    assert [numbers(hits) for hits in await asyncio.gather(*others)] == [[2, 3], [4], [5]]
    await settle()
    assert not merger._waiting
    assert not merger._pumps


async def test_a_call_takes_at_most_64_vectors_but_never_splits_a_caller(merger: SearchMerger, slow: SlowIndex) -> None:
    first = search(merger, 0)
    await settle()
    many = [search(merger, *[float(n)] * 30) for n in range(1, 5)] + [search(merger, *[9.0] * 100)]
    for _ in range(9):
        slow.gate.release()
    answers = await asyncio.gather(first, *many)
    assert [len(asked) for _, asked in slow.calls] == [1, 60, 60, 100]
    assert [numbers(hits) for hits in answers[1:5]] == [[float(n)] * 30 for n in range(1, 5)]


async def test_a_caller_that_goes_before_its_call_costs_nothing(merger: SearchMerger, slow: SlowIndex) -> None:
    first, gone, stays = search(merger, 1), search(merger, 2), search(merger, 3)
    # None has been sent yet: a pump starts with the next turn of the loop.
    await asyncio.sleep(0)
    gone.cancel()
    for _ in range(3):
        slow.gate.release()
    assert numbers(await first) == [1]
    assert numbers(await stays) == [3]
    assert 2 not in [number for _, asked in slow.calls for number in asked]


async def test_all_callers_gone_means_no_further_call(merger: SearchMerger, slow: SlowIndex) -> None:
    first = search(merger, 1)
    await settle()
    waiting = [search(merger, 2), search(merger, 3)]
    await settle()
    for task in (first, *waiting):
        task.cancel()
    await asyncio.gather(first, *waiting, return_exceptions=True)
    slow.gate.release()
    await settle()
    assert len(slow.calls) == 1
    assert not merger._waiting
    assert not merger._pumps


async def test_a_call_whose_callers_have_all_gone_is_withdrawn(merger: SearchMerger, slow: SlowIndex) -> None:
    keys = [KEY._replace(expression=f"price <= {n}") for n in range(50)]
    callers = [search(merger, n, key=key) for n, key in enumerate(keys)]
    callers += [search(merger, 100, key=keys[0])]
    await settle()
    for task in callers:
        task.cancel()
    await settle()
    assert sorted(slow.withdrawn) == [[0, 100], *([n] for n in range(1, 50))]
    assert not merger._waiting
    assert not merger._pumps


async def test_a_call_that_somebody_waits_for_goes_on(merger: SearchMerger, slow: SlowIndex) -> None:
    gone, stays = search(merger, 1), search(merger, 2)
    await settle()
    gone.cancel()
    await settle()
    assert slow.withdrawn == []
    slow.gate.release()
    assert numbers(await stays) == [2]


async def test_after_a_call_is_withdrawn_those_that_came_meanwhile_are_searched(
    merger: SearchMerger, slow: SlowIndex
) -> None:
    gone = search(merger, 1)
    await settle()
    stays = search(merger, 2)
    await settle()
    gone.cancel()
    slow.gate.release()
    assert numbers(await stays) == [2]
    assert slow.withdrawn == [[1]]


async def test_a_call_may_take_what_its_most_patient_caller_has(merger: SearchMerger, slow: SlowIndex) -> None:
    callers = [search(merger, 1, seconds=20), search(merger, 2, seconds=40), search(merger, 3, seconds=30)]
    await settle()
    slow.gate.release()
    await asyncio.gather(*callers)
    (allowed,) = slow.timeouts_s
    assert 30 < allowed < 41


async def test_a_failure_reaches_every_caller_of_its_batch_and_not_the_next(
    merger: SearchMerger, slow: SlowIndex
) -> None:
    first = search(merger, 1)
    await settle()
    batch = [search(merger, 2), search(merger, 3)]
    slow.gate.release()
    await settle()
    following = search(merger, 4)
    await settle()
    slow.errors.append(Unavailable(Reason.MILVUS_UNAVAILABLE, "away"))
    slow.gate.release()
    failures = await asyncio.gather(*batch, return_exceptions=True)
    assert [type(failure) for failure in failures] == [Unavailable, Unavailable]
    slow.gate.release()
    assert numbers(await first) == [1]
    assert numbers(await following) == [4]


async def test_different_keys_run_side_by_side(merger: SearchMerger, slow: SlowIndex) -> None:
    tasks = [
        search(merger, 1),
        search(merger, 2, key=KEY._replace(expression="price <= 1")),
        search(merger, 3, key=KEY._replace(limit=64)),
        search(merger, 4, key=KEY._replace(collection="other")),
    ]
    await settle()
    assert len(slow.calls) == 4
    for _ in tasks:
        slow.gate.release()
    assert [numbers(hits) for hits in await asyncio.gather(*tasks)] == [[1], [2], [3], [4]]


async def test_callers_of_a_pump_that_is_cancelled_do_not_wait_for_ever(merger: SearchMerger, slow: SlowIndex) -> None:
    first = search(merger, 1)
    await settle()
    second = search(merger, 2)
    await settle()
    for pump in merger._pumps:
        pump.cancel()
    outcomes = await asyncio.wait_for(asyncio.gather(first, second, return_exceptions=True), 1)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert not merger._waiting


@pytest.mark.parametrize("seed", range(5))
async def test_random_callers_that_come_go_and_fail(seed: int) -> None:
    chance = random.Random(seed)

    class Flaky(SlowIndex):
        async def search(self, *arguments: object) -> list[list[Hit]]:  # type: ignore[override]
            await asyncio.sleep(chance.random() * 0.004)
            if chance.random() < 0.1:
                raise Unavailable(Reason.MILVUS_UNAVAILABLE, "away")
            return [[Hit(float(vector[0]))] for vector in arguments[1]]  # type: ignore[attr-defined]

    merger = SearchMerger(Flaky())  # type: ignore[arg-type]

    async def caller(number: int) -> str:
        wanted = [float(number * 10 + n) for n in range(chance.randint(1, 9))]
        await asyncio.sleep(chance.random() * 0.05)
        key = KEY._replace(limit=chance.choice([16, 64]))
        try:
            async with asyncio.timeout(0.003 if chance.random() < 0.4 else 5):
                assert numbers(await merger.search(key, vectors(*wanted), Deadline.after(5))) == wanted
        except (Unavailable, TimeoutError) as error:
            return type(error).__name__
        return "answered"

    outcomes = await asyncio.gather(*(caller(number) for number in range(300)))
    assert outcomes.count("answered") > 100
    assert outcomes.count("TimeoutError") > 0
    await asyncio.sleep(0.05)
    assert not merger._waiting
    assert not merger._pumps
