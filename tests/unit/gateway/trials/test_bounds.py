"""When a canary has left its bounds, and when it has not."""

from typing import Any

import pytest

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.trials.bounds import Bounds, Window, breach


def window(
    count: int, ms: float = 50, errors: int = 0, slow: int = 0, slow_ms: float = 1000, size: int = 500
) -> Window:
    found = Window(size)
    for number in range(count):
        answered_ms = slow_ms if number < slow else ms
        found.add(None if count - number <= errors else answered_ms)
    return found


def left(bounds: Bounds, candidate: Window, control: Window) -> str | None:
    found = breach(bounds, candidate, control)
    return None if found is None else found.bound


def test_a_candidate_that_is_like_the_control_group_stays() -> None:
    assert left(Bounds(), window(500), window(500)) is None
    assert left(Bounds(), window(0), window(0)) is None


@pytest.mark.parametrize(("errors", "expected"), [(2, None), (3, "error_rate")])
def test_a_broken_candidate_is_seen_before_the_least_number_is_there(errors: int, expected: str | None) -> None:
    assert left(Bounds(), window(errors, errors=errors), window(0)) == expected


@pytest.mark.parametrize(("errors", "expected"), [(10, None), (11, "error_rate")])
def test_a_full_window_is_judged_by_its_rate(errors: int, expected: str | None) -> None:
    assert left(Bounds(), window(500, errors=errors), window(500)) == expected


def test_what_the_control_group_suffers_too_is_not_the_candidates_fault() -> None:
    assert left(Bounds(), window(200, errors=150), window(200, errors=148)) is None
    assert left(Bounds(), window(200, errors=150), window(200, errors=100)) == "error_rate"


@pytest.mark.parametrize(("slow", "expected"), [(1, None), (2, "p99_ratio")])
def test_p99_is_compared_with_the_control_groups(slow: int, expected: str | None) -> None:
    assert left(Bounds(), window(100, slow=slow, slow_ms=101), window(100)) == expected
    assert left(Bounds(max_p99_ratio=3), window(100, slow=slow, slow_ms=101), window(100)) is None


def test_p99_needs_a_control_group() -> None:
    assert left(Bounds(), window(500, ms=9000), window(99)) is None
    assert left(Bounds(), window(500, ms=9000), window(100)) == "p99_ratio"
    assert left(Bounds(max_p99_ms=8000), window(500, ms=9000), window(0)) == "p99"


@pytest.mark.parametrize(("slow", "expected"), [(1, None), (2, "p99")])
def test_an_absolute_bound_is_judged_as_shares_of_the_least_number(slow: int, expected: str | None) -> None:
    assert left(Bounds(max_p99_ms=200), window(10, slow=slow), window(10)) == expected
    assert left(Bounds(max_p99_ms=2000), window(10, slow=10), window(10)) is None


def test_how_fast_failures_come_is_not_compared() -> None:
    assert left(Bounds(max_error_rate=1), window(100, ms=50, errors=99), window(200, ms=1, errors=190)) is None
    assert left(Bounds(max_error_rate=1, max_p99_ms=9), window(100, errors=100), window(100)) is None


def test_old_requests_leave_the_window() -> None:
    candidate = window(50, errors=50, size=200)
    for _ in range(200):
        candidate.add(50)
    assert (candidate.requests, candidate.errors) == (200, 0)
    assert left(Bounds(window=200), candidate, window(200)) is None


def test_the_sentence_has_the_figures() -> None:
    slow = breach(Bounds(), window(100, ms=300), window(120, ms=80))
    assert slow is not None
    assert slow.sentence == (
        "p99 of the last 100 answers is 300 ms, the control group's 80 ms; the bound is 2 times that"
    )
    failing = breach(Bounds(max_error_rate=0.01), window(100, errors=7), window(120, errors=1))
    assert failing is not None
    assert failing.sentence == (
        "7 of the last 100 requests failed, 1 of 120 in the control group; the bound is 0.01 above the control group"
    )


def test_a_window_reports_itself() -> None:
    found = window(200, ms=40, errors=3, slow=1, slow_ms=500).report()
    assert (found.requests, found.errors, found.error_rate) == (200, 3, 0.015)
    assert (found.p50_ms, found.p99_ms) == (40, 40)


def test_what_is_absent_has_its_default() -> None:
    assert Bounds.read(pb.Bounds()) == Bounds()
    asked = pb.Bounds(max_error_rate=0, max_p99_ratio=1.5, max_p99_ms=80, min_requests=10, window=10)
    assert Bounds.read(asked) == Bounds(0, 1.5, 80, 10, 10)
    assert Bounds.read(asked).as_message() == asked
    assert not Bounds().as_message().HasField("max_p99_ms")


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_error_rate": -0.1},
        {"max_error_rate": 1.1},
        {"max_error_rate": float("nan")},
        {"max_p99_ratio": 0.9},
        {"max_p99_ratio": float("inf")},
        {"max_p99_ms": 0},
        {"max_p99_ms": float("nan")},
        {"min_requests": 0},
        {"min_requests": 501},
        {"window": 0},
        {"window": 2001},
        {"min_requests": 300, "window": 200},
    ],
)
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=f"bounds.{next(iter(wrong))}"):
        Bounds.read(pb.Bounds(**wrong))
