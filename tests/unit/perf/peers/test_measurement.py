"""What a measurement counts, with servers that are a few lines of asyncio."""

import asyncio
import math

import pytest

from framelens_perf.open_loop.sender import NOT_SENT, Answer, Sent
from framelens_perf.peers.failures import AskFailed
from framelens_perf.peers.measurement import Plan, accounted, measure

FRAMES = [b"one", b"two"]
SHORT = Plan(
    alone_asks=5,
    callers=4,
    warm_up_s=0.05,
    saturate_s=0.4,
    try_s=0.3,
    least_requests=1,
    p99_bound_ms=100,
    precision=0.2,
)


class OneAtATime:
    """Takes `seconds` for each frame; callers wait for each other."""

    def __init__(self, seconds: float) -> None:
        self.asked: set[bytes] = set()
        self._seconds = seconds
        self._turn = asyncio.Lock()

    async def ask(self, frame: bytes) -> None:
        self.asked.add(frame)
        async with self._turn:
            await asyncio.sleep(self._seconds)


async def test_a_queue_bounds_the_rates_and_not_the_latency_alone() -> None:
    server = OneAtATime(0.02)
    measured = await measure(server.ask, FRAMES, SHORT)
    assert server.asked == set(FRAMES)
    assert 20 <= measured.alone_ms < 80
    assert 5 < measured.saturated <= 50
    # A queue of one server with Poisson arrivals keeps p99 under five services only well under its limit.
    assert 0 <= measured.sustained < measured.saturated * 1.25
    assert measured.saturated_failures == 0


async def test_failures_are_not_frames_served() -> None:
    async def refuses_two(frame: bytes) -> None:
        await asyncio.sleep(0.005)
        if frame == b"two":
            raise AskFailed("503")

    measured = await measure(refuses_two, FRAMES, Plan(**vars(SHORT) | {"alone_asks": 1}))
    assert measured.saturated_failures > 0
    assert measured.sustained == 0.0
    assert all(each.p99_ms == math.inf for each in measured.tries)
    assert {each["p99_ms"] for each in measured.to_json()["tries"]} == {None}


def test_what_failed_or_was_never_sent_took_forever() -> None:
    answered = [Sent(b"", at / 100, 0.0, 10.0, Answer()) for at in range(98)]
    lost = [Sent(b"", 0.98, 30.0, 30.0, Answer("FAILED")), Sent(b"", 0.99, 0.0, 0.0, Answer(NOT_SENT))]
    tried = accounted(100, answered + lost, 1.0)
    assert (tried.requests, tried.failed, tried.p99_ms) == (100, 2, math.inf)
    assert tried.delayed_share == pytest.approx(0.01)
    assert accounted(100, answered, 1.0).p99_ms == 10.0


def test_latency_counts_from_the_time_that_was_due() -> None:
    late = [Sent(b"", 0.0, 200.0, 210.0, Answer())] * 50
    assert accounted(50, late, 1.0).p99_ms == 210.0


def test_nobody_came() -> None:
    assert accounted(0.01, [], 1.0).p99_ms == 0.0


def test_a_slow_rate_is_tried_for_longer() -> None:
    plan = Plan(try_s=20, least_requests=100)
    assert [plan.seconds_at(rate) for rate in (50, 5, 2, 0.1)] == [20, 20, 50, 60]
