"""A canary: the candidate serves its share, and no caller is harmed when it cannot."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, InvalidRequest, Unavailable
from framelens_gateway.metrics import Metrics
from framelens_gateway.trials.bounds import Bounds, Breach
from framelens_gateway.trials.canary import Canary
from framelens_gateway.trials.choice import Group, group_of

NAME = "detector__candidate"
AWAY = Unavailable(Reason.TRITON_UNAVAILABLE, "away")


def request_of(group: Group, share: float) -> pb.RecognizeRequest:
    """A request whose key puts it into a group."""
    requests = (pb.RecognizeRequest(picture=b"frame", key=f"user-{number}") for number in range(10_000))
    return next(request for request in requests if group_of(request, share, NAME) is group)


CHOSEN, CONTROL, REST = (request_of(group, 0.3) for group in (Group.CANDIDATE, Group.CONTROL, Group.REST))


@pytest.fixture
def breaches() -> list[Breach]:
    return []


@pytest.fixture
def make(live: Any, candidate: Any, metrics: Metrics, breaches: list[Breach]) -> Callable[..., Canary]:
    def canary(timeout_s: float = 0.3, share: float = 0.3, **bounds: Any) -> Canary:
        chosen = Bounds(**{"min_requests": 20, "window": 50, **bounds})
        return Canary(live, live, candidate, NAME, share, chosen, timeout_s, metrics.trials, breaches.append)

    return canary


def report(canary: Canary) -> pb.CanaryReport:
    trial = pb.Trial()
    canary.report(trial)
    return trial.canary


async def test_each_group_meets_its_engines(make: Callable[..., Canary], soon: Deadline, metrics: Metrics) -> None:
    canary = make()
    answers = [await canary.recognize(request, soon) for request in (CHOSEN, CONTROL, REST)]
    assert [answer.objects[0].matches[0].id for answer in answers] == ["other", "live", "live"]
    assert [answer.served.candidate for answer in answers] == [NAME, "", ""]
    found = report(canary)
    assert (found.served, found.failed, found.candidate.requests, found.control.requests) == (1, 0, 1, 1)
    sample = metrics.registry.get_sample_value
    assert sample("framelens_canary_requests_total", {"group": "candidate", "outcome": "OK"}) == 1
    assert sample("framelens_canary_requests_total", {"group": "control", "outcome": "OK"}) == 1


async def test_regions_are_in_the_same_group_as_frames(make: Callable[..., Canary], soon: Deadline) -> None:
    answer = await make().search_region(pb.SearchRegionRequest(picture=b"any", key=CHOSEN.key), soon)
    assert (answer.matches[0].id, answer.served.candidate) == ("other", NAME)


@pytest.mark.parametrize("failure", [AWAY, DeadlineExceeded("recognition"), RuntimeError("a bad vector")])
async def test_a_candidate_that_fails_harms_no_caller(
    make: Callable[..., Canary], candidate: Any, soon: Deadline, failure: Exception
) -> None:
    candidate.failure = failure
    canary = make()
    answer = await canary.recognize(CHOSEN, soon)
    assert (answer.objects[0].matches[0].id, answer.served.candidate) == ("live", "")
    found = report(canary)
    assert (found.served, found.failed, found.candidate.errors) == (0, 1, 1)
    assert list(found.errors) == [str(failure)]


async def test_a_candidate_that_hangs_leaves_the_live_engines_their_time(
    make: Callable[..., Canary], live: Any, candidate: Any
) -> None:
    candidate.seconds = 60
    canary, started = make(timeout_s=60), time.monotonic()
    answer = await canary.recognize(CHOSEN, Deadline.after(0.4))
    assert answer.objects[0].matches[0].id == "live"
    assert 0.19 < time.monotonic() - started < 0.35
    assert candidate.gone == 1
    assert live.deadlines[0] > 0.1
    assert report(canary).candidate.errors == 1


async def test_a_candidate_has_no_more_time_than_is_set(make: Callable[..., Canary], candidate: Any) -> None:
    candidate.seconds = 60
    started = time.monotonic()
    await make(timeout_s=0.1).recognize(CHOSEN, Deadline.after(100))
    assert time.monotonic() - started < 0.3
    assert candidate.deadlines[0] <= 0.1


async def test_what_is_left_for_the_live_engines_is_what_they_need(
    make: Callable[..., Canary], live: Any, candidate: Any
) -> None:
    """A tight deadline must not make every candidate look slow, nor leave no time for the second answer."""
    live.seconds, canary = 0.1, make(timeout_s=60)
    for _ in range(3):
        await canary.recognize(CONTROL, Deadline.after(5))
        await canary.recognize(CHOSEN, Deadline.after(5))
    live.seconds = 0
    await canary.recognize(CHOSEN, Deadline.after(0.4))
    assert candidate.deadlines[-1] == pytest.approx(0.25, abs=0.03)
    before = len(candidate.asked)
    assert (await canary.recognize(CHOSEN, Deadline.after(0.2))).objects[0].matches[0].id == "live"
    assert len(candidate.asked) == before, "there is no time for two answers"
    assert report(canary).no_time == 1


async def test_a_callers_own_mistake_is_not_the_candidates(
    make: Callable[..., Canary], live: Any, candidate: Any, soon: Deadline
) -> None:
    live.failure = candidate.failure = InvalidRequest("not a picture")
    canary = make()
    for request in (CHOSEN, CONTROL, REST):
        with pytest.raises(InvalidRequest):
            await canary.recognize(request, soon)
    assert (report(canary).candidate.requests, report(canary).control.requests) == (0, 0)
    assert len(live.asked) == 2


async def test_a_caller_that_goes_away_says_nothing(make: Callable[..., Canary], live: Any, candidate: Any) -> None:
    live.seconds = candidate.seconds = 60
    canary = make(timeout_s=60)
    for request in (CHOSEN, CONTROL):
        task = asyncio.create_task(canary.recognize(request, Deadline.after(50)))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (report(canary).candidate.requests, report(canary).control.requests) == (0, 0)


async def test_a_control_request_whose_time_is_over_is_an_error(make: Callable[..., Canary], live: Any) -> None:
    live.seconds, canary = 60, make()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await canary.recognize(CONTROL, Deadline.after(0.05))
    assert (report(canary).control.requests, report(canary).control.errors) == (1, 1)


async def test_errors_end_it_once(
    make: Callable[..., Canary], candidate: Any, soon: Deadline, breaches: list[Breach]
) -> None:
    candidate.failure, canary = AWAY, make(max_error_rate=0.1)
    for _ in range(2):
        await canary.recognize(CHOSEN, soon)
    assert breaches == []
    for _ in range(5):
        assert (await canary.recognize(CHOSEN, soon)).objects[0].matches[0].id == "live"
    assert [each.bound for each in breaches] == ["error_rate"]


async def test_an_outage_that_both_suffer_does_not_end_it(
    make: Callable[..., Canary], live: Any, candidate: Any, soon: Deadline, breaches: list[Breach]
) -> None:
    canary = make()
    live.failure = candidate.failure = AWAY
    for _ in range(30):
        for request in (CONTROL, CHOSEN):
            with pytest.raises(Unavailable):
                await canary.recognize(request, soon)
    assert breaches == []


async def test_slowness_ends_it(
    make: Callable[..., Canary], live: Any, candidate: Any, soon: Deadline, breaches: list[Breach]
) -> None:
    live.seconds, candidate.seconds = 0.002, 0.03
    canary = make(max_p99_ratio=3)
    for _ in range(20):
        await canary.recognize(CHOSEN, soon)
    assert breaches == [], "there is no control group yet"
    for _ in range(20):
        await canary.recognize(CONTROL, soon)
    await canary.recognize(CHOSEN, soon)
    assert [each.bound for each in breaches] == ["p99_ratio"]


async def test_an_absolute_bound_needs_no_control_group(
    make: Callable[..., Canary], candidate: Any, soon: Deadline, breaches: list[Breach]
) -> None:
    candidate.seconds, canary = 0.02, make(share=1.0, max_p99_ms=10)
    await canary.recognize(REST, soon)
    assert [each.bound for each in breaches] == ["p99"]
