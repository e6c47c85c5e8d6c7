"""What is found in a frame is found once: remembered by all that it depends on, shared while it is in flight."""

import asyncio
from dataclasses import replace

import pytest
from gateway_fakes import found
from prometheus_client import CollectorRegistry

from framelens_client.reasons import Reason
from framelens_gateway.caching.recognitions import CachedRecognizer
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, InvalidRequest, Unavailable
from framelens_gateway.metrics import CacheMetrics
from framelens_gateway.recognizer import STAGES, Box, Recognition, RecognizerCall

CALL = RecognizerCall(b"frame", "embedder_test")
MINUTE = 60.0


class CountedRecognizer:
    """Answers with the version of the moment, once the gate is open."""

    def __init__(self) -> None:
        self.asked: list[RecognizerCall] = []
        self.version = "1"
        self.gate = asyncio.Event()
        self.gate.set()
        self.errors: list[Exception] = []
        self.ended = 0

    async def recognize(self, call: RecognizerCall, deadline: Deadline) -> Recognition:
        self.asked.append(call)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.ended += 1
            raise
        if self.errors:
            raise self.errors.pop()
        stages_ms = dict.fromkeys(STAGES, 1.0)
        return Recognition([found("cup", call.picture)], {"embedder_test": self.version}, stages_ms, 640, 480)


@pytest.fixture
def inner() -> CountedRecognizer:
    return CountedRecognizer()


@pytest.fixture
def cached(inner: CountedRecognizer) -> CachedRecognizer:
    return CachedRecognizer(inner, 2**20, MINUTE, MINUTE, CacheMetrics(CollectorRegistry()))


def soon(seconds: float = 10) -> Deadline:
    return Deadline.after(seconds)


async def test_the_same_frame_is_recognised_once(inner: CountedRecognizer, cached: CachedRecognizer) -> None:
    first, again = await cached.recognize(CALL, soon()), await cached.recognize(CALL, soon())
    assert len(inner.asked) == 1
    assert again.objects == first.objects
    assert (sum(first.stages_ms.values()), sum(again.stages_ms.values())) == (len(STAGES), 0)


@pytest.mark.parametrize(
    "other",
    [
        {"picture": b"another"},
        {"embedder": "embedder_other"},
        {"detector": "yolo"},
        {"recognizer": "recognizer__candidate"},
        {"regions": (Box(0.0, 0.0, 0.5, 0.5),)},
        {"min_score": 0.4},
        {"max_objects": 3},
        {"unnamed": 6},
    ],
)
async def test_all_that_an_answer_depends_on_is_told_apart(
    inner: CountedRecognizer, cached: CachedRecognizer, other: dict[str, object]
) -> None:
    await cached.recognize(CALL, soon())
    await cached.recognize(replace(CALL, **other), soon())
    assert len(inner.asked) == 2


async def test_crops_are_never_taken_from_what_is_known(inner: CountedRecognizer, cached: CachedRecognizer) -> None:
    for _ in range(2):
        await cached.recognize(replace(CALL, crops=True), soon())
    assert len(inner.asked) == 2


async def test_nothing_of_an_older_engine_is_given_once_a_newer_one_answers(
    inner: CountedRecognizer, cached: CachedRecognizer
) -> None:
    await cached.recognize(CALL, soon())
    inner.version = "2"
    await cached.recognize(replace(CALL, picture=b"another"), soon())
    assert (await cached.recognize(CALL, soon())).engines == {"embedder_test": "2"}


async def test_one_caller_in_a_while_hears_of_the_engine(inner: CountedRecognizer) -> None:
    cached = CachedRecognizer(inner, 2**20, MINUTE, 0.05, CacheMetrics(CollectorRegistry()))
    await cached.recognize(CALL, soon())
    inner.version = "2"
    await asyncio.sleep(0.06)
    inner.gate.clear()
    first = asyncio.create_task(cached.recognize(CALL, soon()))
    await asyncio.sleep(0.01)
    # Others need not wait for what the first is told.
    assert (await cached.recognize(CALL, soon())).engines == {"embedder_test": "1"}
    inner.gate.set()
    assert (await first).engines == {"embedder_test": "2"}
    assert (await cached.recognize(CALL, soon())).engines == {"embedder_test": "2"}
    assert len(inner.asked) == 2


async def test_while_triton_is_away_nothing_is_given(inner: CountedRecognizer) -> None:
    cached = CachedRecognizer(inner, 2**20, MINUTE, 0.02, CacheMetrics(CollectorRegistry()))
    await cached.recognize(CALL, soon())
    await asyncio.sleep(0.03)
    inner.errors = [Unavailable(Reason.TRITON_UNAVAILABLE, "away") for _ in range(3)]
    for _ in range(3):
        with pytest.raises(Unavailable):
            await cached.recognize(CALL, soon())
    assert (await cached.recognize(CALL, soon())).objects


async def test_identical_requests_in_flight_share_one(inner: CountedRecognizer, cached: CachedRecognizer) -> None:
    inner.gate.clear()
    callers = [asyncio.create_task(cached.recognize(CALL, soon())) for _ in range(5)]
    await asyncio.sleep(0.01)
    inner.gate.set()
    answers = await asyncio.gather(*callers)
    assert len(inner.asked) == 1
    assert all(answer.objects == answers[0].objects for answer in answers)


async def test_one_who_leaves_does_not_end_it_for_the_others(
    inner: CountedRecognizer, cached: CachedRecognizer
) -> None:
    inner.gate.clear()
    first, second = (asyncio.create_task(cached.recognize(CALL, soon())) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    assert inner.ended == 0
    inner.gate.set()
    assert (await second).objects


async def test_what_nobody_waits_for_any_longer_is_ended(inner: CountedRecognizer, cached: CachedRecognizer) -> None:
    inner.gate.clear()
    callers = [asyncio.create_task(cached.recognize(CALL, soon())) for _ in range(2)]
    await asyncio.sleep(0.01)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert inner.ended == 1
    inner.gate.set()
    assert (await cached.recognize(CALL, soon())).objects


async def test_a_short_deadline_of_the_first_is_not_the_others(
    inner: CountedRecognizer, cached: CachedRecognizer
) -> None:
    inner.gate.clear()
    inner.errors = [DeadlineExceeded("recognition")]
    first = asyncio.create_task(cached.recognize(CALL, soon(0.02)))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(cached.recognize(CALL, soon()))
    await asyncio.sleep(0.03)
    inner.gate.set()
    with pytest.raises(DeadlineExceeded):
        await first
    assert (await second).objects


async def test_a_failure_is_everybodys_and_is_not_kept(inner: CountedRecognizer, cached: CachedRecognizer) -> None:
    inner.gate.clear()
    inner.errors = [InvalidRequest("broken", Reason.INVALID_PICTURE)]
    callers = [asyncio.create_task(cached.recognize(CALL, soon())) for _ in range(3)]
    await asyncio.sleep(0.01)
    inner.gate.set()
    assert [type(each) for each in await asyncio.gather(*callers, return_exceptions=True)] == [InvalidRequest] * 3
    assert (await cached.recognize(CALL, soon())).objects


async def test_memory_is_bounded(inner: CountedRecognizer) -> None:
    cached = CachedRecognizer(inner, 5000, MINUTE, MINUTE, CacheMetrics(CollectorRegistry()))
    for number in range(20):
        await cached.recognize(replace(CALL, picture=b"%d" % number), soon())
    await cached.recognize(replace(CALL, picture=b"19"), soon())
    assert len(inner.asked) == 20
    await cached.recognize(replace(CALL, picture=b"0"), soon())
    assert len(inner.asked) == 21


async def test_a_recognition_that_is_too_large_is_passed_on(inner: CountedRecognizer) -> None:
    cached = CachedRecognizer(inner, 10, MINUTE, MINUTE, CacheMetrics(CollectorRegistry()))
    assert (await cached.recognize(CALL, soon())).objects
