"""A shadow: the caller never notices, whatever the candidate does."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest, Unavailable
from framelens_gateway.metrics import Metrics
from framelens_gateway.trials.shadow import Shadow, TrialLimits

FRAME = pb.RecognizeRequest(picture=b"frame")
REGION = pb.SearchRegionRequest(picture=b"frame")


class Load:
    share = 0.0


@pytest.fixture
def load() -> Load:
    return Load()


@pytest.fixture
def make(live: Any, candidate: Any, metrics: Metrics, load: Load) -> Callable[..., Shadow]:
    def shadow(share: float = 1.0, chance: float = 0.0, max_in_flight: int = 2) -> Shadow:
        limits = TrialLimits(max_in_flight, timeout_s=0.2, max_load=0.5, load=lambda: load.share)
        return Shadow(live, candidate, share, limits, metrics.trials, lambda: chance)

    return shadow


def report(shadow: Shadow) -> pb.ShadowReport:
    trial = pb.Trial()
    shadow.report(trial)
    return trial.shadow


async def settle(shadow: Shadow) -> pb.ShadowReport:
    """Once the candidate has answered all that it was asked."""
    while shadow._running:
        await asyncio.sleep(0.005)
    return report(shadow)


async def test_both_are_asked_and_compared(
    make: Callable[..., Shadow], live: Any, candidate: Any, soon: Deadline, metrics: Metrics
) -> None:
    shadow = make()
    answer = await shadow.recognize(FRAME, soon)
    assert answer.objects[0].matches[0].id == "live"
    assert answer.served.candidate == ""
    assert candidate.asked == [], "the answer leaves first"
    await shadow.search_region(REGION, soon)
    found = await settle(shadow)
    assert candidate.asked == [FRAME, REGION]
    assert (found.compared, found.failed, found.dropped_full) == (2, 0, 0)
    assert (found.live_objects, found.candidate_objects, found.agreed_objects, found.objects_f1) == (1, 1, 1, 1)
    assert (found.searches, found.agreed_top1) == (2, 0)
    assert (found.overlap_at_k.count, found.overlap_at_k.mean) == (2, 0)
    assert found.live_ms.count == found.candidate_ms.count == 2
    newest, first = found.disagreements
    assert (newest.method, newest.what) == ("SearchRegion", "region: best match live live, other candidate")
    assert (first.method, len(first.picture)) == ("Recognize", 16)
    sample = metrics.registry.get_sample_value
    assert sample("framelens_shadow_requests_total", {"outcome": "compared"}) == 2
    assert sample("framelens_shadow_top1_total", {"agreed": "false"}) == 2
    assert sample("framelens_shadow_objects_total", {"found_by": "both"}) == 1
    assert sample("framelens_trial_seconds_count", {"kind": "shadow", "group": "candidate"}) == 2


@pytest.mark.parametrize(("chance", "asked"), [(0.29, 1), (0.3, 0), (0.99, 0)])
async def test_the_share_is_left_to_chance(
    make: Callable[..., Shadow], candidate: Any, soon: Deadline, chance: float, asked: int
) -> None:
    shadow = make(share=0.3, chance=chance)
    await shadow.recognize(FRAME, soon)
    await settle(shadow)
    assert len(candidate.asked) == asked


async def test_a_candidate_that_hangs_costs_the_caller_nothing_and_is_given_up(
    make: Callable[..., Shadow], candidate: Any, soon: Deadline
) -> None:
    candidate.seconds = 60
    shadow, started = make(), time.monotonic()
    for _ in range(20):
        await shadow.recognize(FRAME, soon)
    assert time.monotonic() - started < 0.1
    found = await settle(shadow)
    assert (found.timed_out, found.dropped_full, found.compared) == (2, 18, 0)
    assert candidate.gone == 2
    assert max(candidate.deadlines) <= 0.2


@pytest.mark.parametrize(
    "failure",
    [Unavailable(Reason.TRITON_UNAVAILABLE, "why"), InvalidRequest("why"), RuntimeError("why"), ValueError("why")],
)
async def test_a_candidate_that_fails_is_counted(
    make: Callable[..., Shadow], candidate: Any, soon: Deadline, failure: Exception
) -> None:
    candidate.failure = failure
    shadow = make()
    assert (await shadow.recognize(FRAME, soon)).objects
    found = await settle(shadow)
    assert (found.failed, found.compared, list(found.errors)) == (1, 0, ["why"])


async def test_a_request_that_the_live_engines_fail_is_not_compared(
    make: Callable[..., Shadow], live: Any, candidate: Any, soon: Deadline
) -> None:
    live.failure = Unavailable(Reason.TRITON_UNAVAILABLE, "away")
    shadow = make()
    with pytest.raises(Unavailable):
        await shadow.recognize(FRAME, soon)
    await settle(shadow)
    assert candidate.asked == []


async def test_the_shadow_is_shed_first(
    make: Callable[..., Shadow], candidate: Any, soon: Deadline, load: Load
) -> None:
    shadow = make()
    load.share = 0.51
    await shadow.recognize(FRAME, soon)
    load.share = 0.5
    await shadow.recognize(FRAME, soon)
    found = await settle(shadow)
    assert (found.dropped_load, found.compared) == (1, 1)


async def test_only_the_last_disagreements_and_errors_are_kept(
    make: Callable[..., Shadow], candidate: Any, soon: Deadline
) -> None:
    shadow = make(max_in_flight=100)
    for number in range(30):
        await shadow.recognize(pb.RecognizeRequest(picture=b"%d" % number), soon)
    found = await settle(shadow)
    assert (found.compared, len(found.disagreements)) == (30, 10)
    candidate.failure = Unavailable(Reason.TRITON_UNAVAILABLE, "x" * 5000)
    for _ in range(30):
        await shadow.recognize(FRAME, soon)
    found = await settle(shadow)
    assert (found.failed, [len(error) for error in found.errors]) == (30, [300] * 5)


async def test_closing_gives_up_what_is_under_way(
    make: Callable[..., Shadow], candidate: Any, soon: Deadline, until: Callable[..., Any]
) -> None:
    candidate.seconds = 60
    shadow = make()
    await shadow.recognize(FRAME, soon)
    await until(lambda: candidate.asked)
    await shadow.close()
    assert candidate.gone == 1
    assert shadow._running == set()


async def test_a_report_of_nothing(make: Callable[..., Shadow]) -> None:
    found = report(make())
    assert (found.compared, found.objects_f1, found.overlap_at_k.count) == (0, 1, 0)
