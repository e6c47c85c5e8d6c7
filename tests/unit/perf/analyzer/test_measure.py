"""Unstable loads are repeated, and an SLO's rate is found by points that can be trusted."""

from collections.abc import Callable, Iterator

import pytest

from framelens_perf.analyzer.measure import Measurement
from framelens_perf.analyzer.output import Outcome
from framelens_perf.analyzer.results import Load, Point, SloResult, Verdict
from framelens_perf.analyzer.runner import FULL, QUICK, Effort
from framelens_perf.analyzer.scenario import Slo

from .conftest import answered, captured

SLO = Slo(p99_ms=100, lowest=1, highest=200)


class FakeRunner:
    """A server whose answer to a load is a function of it and of how often it was asked."""

    def __init__(self, answer: Callable[[float, int], Outcome]) -> None:
        self._answer = answer
        self.asked: list[float] = []

    def run(self, load: Load) -> Outcome:
        self.asked.append(load.value)
        return self._answer(load.value, self.asked.count(load.value))


def search(runner: FakeRunner, slo: Slo = SLO, effort: Effort = QUICK) -> SloResult:
    return Measurement(runner, effort, lambda _: None).search(slo)


def keeps_up_to(limit: float) -> FakeRunner:
    return FakeRunner(lambda rate, _: answered(rate, 90 if rate <= limit else 110))


def sweep(outcomes: list[str]) -> tuple[list[Point], list[Point]]:
    names: Iterator[str] = iter(outcomes)
    reported: list[Point] = []
    measurement = Measurement(FakeRunner(lambda *_: captured(next(names))), FULL, reported.append)
    measurement.sweep([Load(10, open_loop=True)])
    return measurement.points, reported


def test_an_unstable_load_is_measured_again() -> None:
    points, reported = sweep(["unstable", "empty_window", "poisson"])
    assert [(point.verdict, point.attempts) for point in points] == [(Verdict.STABLE, 3)]
    assert reported == points


def test_after_three_attempts_it_is_unstable_and_no_number() -> None:
    points, _ = sweep(["unstable", "not_stabilizing", "unstable"])
    assert [(point.verdict, point.figures, point.attempts) for point in points] == [(Verdict.UNSTABLE, None, 3)]


def test_what_is_plain_is_not_measured_again() -> None:
    points, _ = sweep(["delayed"])
    assert [(point.verdict, point.attempts) for point in points] == [(Verdict.DELAYED, 1)]


@pytest.mark.parametrize("limit", [1.5, 7, 23, 150, 199])
def test_the_search_comes_within_its_precision(limit: float) -> None:
    found = search(keeps_up_to(limit))
    assert found.rate is not None
    assert found.rate <= limit < found.rate * (1 + SLO.precision) * 1.001
    assert found.point is not None
    assert found.point.load.value == found.rate
    assert not found.reached_highest
    assert not found.undecided


def test_the_finest_precision_ends() -> None:
    found = search(keeps_up_to(1.3), Slo(p99_ms=100, lowest=1, highest=100_000, precision=0.02))
    assert found.rate == pytest.approx(1.3, rel=0.02)


def test_no_rate_keeps_the_bound() -> None:
    runner = keeps_up_to(0.5)
    found = search(runner)
    assert (found.rate, found.point, found.undecided) == (None, None, False)
    assert runner.asked == [1]


def test_the_highest_rate_keeps_the_bound() -> None:
    found = search(keeps_up_to(1000))
    assert (found.rate, found.reached_highest) == (200, True)


def test_an_overloaded_server_keeps_no_bound() -> None:
    runner = FakeRunner(lambda rate, _: answered(min(rate, 20), 50))
    found = search(runner)
    assert found.rate == pytest.approx(23, rel=0.1)
    assert not found.undecided


def test_one_unlucky_point_does_not_decide() -> None:
    runner = FakeRunner(lambda rate, turn: answered(rate, 500 if turn == 1 else 90 if rate <= 50 else 110))
    found = search(runner, effort=FULL)
    assert found.rate == pytest.approx(50, rel=0.1)
    assert found.point is not None
    assert found.point.figures is not None
    assert found.point.figures.p99_ms == 90


def test_one_lucky_point_does_not_decide_either() -> None:
    runner = FakeRunner(lambda rate, turn: answered(rate, 10 if turn == 1 or rate <= 50 else 110))
    assert search(runner, effort=FULL).rate == pytest.approx(50, rel=0.1)


def test_a_search_that_an_unstable_point_decides_says_so() -> None:
    runner = FakeRunner(lambda rate, _: answered(rate, 90) if rate <= 50 else captured("unstable"))
    found = search(runner)
    assert found.rate == pytest.approx(50, rel=0.1)
    assert found.undecided


def test_unstable_points_far_above_the_answer_do_not_matter() -> None:
    def answer(rate: float, _: int) -> Outcome:
        return captured("empty_window") if rate > 100 else answered(rate, 90 if rate <= 20 else 110)

    assert not search(FakeRunner(answer)).undecided


def test_a_lowest_rate_that_is_unstable_is_no_answer() -> None:
    found = search(FakeRunner(lambda *_: captured("unstable")))
    assert (found.rate, found.undecided) == (None, True)
