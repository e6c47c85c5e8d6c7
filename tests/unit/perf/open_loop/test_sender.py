"""Sending: nothing waits for an answer, latency counts from the time that was due, and all that is due is counted."""

import asyncio
import time

import pytest

from framelens_perf.open_loop.schedule import constant
from framelens_perf.open_loop.sender import NOT_SENT, OK, Answer, Sent, saturate, send
from framelens_perf.open_loop.summary import percentile, summarize


async def test_a_stall_counts_for_every_request_that_was_due_meanwhile() -> None:
    async def stalled(request: int) -> Answer:
        if request == 0:
            time.sleep(0.3)  # noqa: ASYNC251 - the stall itself
        return Answer()

    sent = await send(constant(100, 0.3), range(30), stalled, max_outstanding=100)
    late = {each.request: each.latency_ms for each in sent}
    assert late[1] > 250
    assert late[15] > 100
    assert summarize(sent, 0.3).honest is False


async def test_slow_answers_do_not_slow_the_requests() -> None:
    async def slow(_: int) -> Answer:
        await asyncio.sleep(0.2)
        return Answer()

    sent = await send(constant(100, 0.2), range(20), slow, max_outstanding=100)
    assert len(sent) == 20
    assert max(each.late_ms for each in sent) < 100
    assert min(each.latency_ms for each in sent) >= 199


async def test_what_is_due_beyond_the_bound_is_counted_as_not_sent() -> None:
    async def slow(_: int) -> Answer:
        await asyncio.sleep(0.3)
        return Answer()

    sent = await send(constant(100, 0.2), range(20), slow, max_outstanding=5)
    assert summarize(sent, 0.2).codes == {NOT_SENT: 15, OK: 5}


async def test_callers_who_never_pause() -> None:
    async def ask(_: int) -> Answer:
        await asyncio.sleep(0.01)
        return Answer()

    sent = await saturate(range(3), ask, callers=4, seconds=0.3)
    assert 60 <= len(sent) <= 120


def test_a_summary_counts_refusals_apart() -> None:
    sent = [Sent(0, at / 10, 0.0, 100.0 + at, Answer()) for at in range(9)] + [
        Sent(0, 0.9, 1.0, 3.0, Answer("RESOURCE_EXHAUSTED"))
    ]
    summary = summarize(sent, 1.0)
    assert summary.offered_rate == 10
    assert summary.goodput == 9
    assert summary.codes == {OK: 9, "RESOURCE_EXHAUSTED": 1}
    assert summary.latency_ms["p50"] == 104
    assert summary.refused_ms == 2.0


@pytest.mark.parametrize(("share", "expected"), [(50, 2), (75, 3), (99, 4), (99.9, 4), (1, 1)])
def test_percentiles_are_values_that_occurred(share: float, expected: float) -> None:
    assert percentile([4, 1, 3, 2], share) == expected
