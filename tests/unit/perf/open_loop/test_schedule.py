"""Schedules: the right number at the right times."""

import itertools
from pathlib import Path

import pytest

from framelens_perf.open_loop.schedule import ScheduleError, constant, offered_rate, poisson, recorded


def test_poisson_arrivals_have_their_rate_and_their_spread() -> None:
    arrivals = poisson(100, 100)
    assert len(arrivals) == pytest.approx(10_000, rel=0.05)
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    assert min(gaps) >= 0
    # An exponential law: e^-2 of all gaps are longer than twice the mean.
    assert sum(gap > 0.02 for gap in gaps) / len(gaps) == pytest.approx(0.135, abs=0.02)
    assert poisson(100, 1) == poisson(100, 1) != poisson(100, 1, seed=1)


def test_constant_arrivals() -> None:
    assert constant(4, 1) == [0.0, 0.25, 0.5, 0.75]
    assert offered_rate(constant(10, 10)) == pytest.approx(10, rel=0.02)


def test_a_trace_is_replayed_from_its_first_time(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("1700000002.5\n1700000000.5\n1700000001.5\n")
    assert recorded(trace) == [0.0, 1.0, 2.0]
    assert recorded(trace, speed=2) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("content", ["", "soon", None])
def test_a_trace_that_cannot_be_replayed(tmp_path: Path, content: str | None) -> None:
    trace = tmp_path / "trace"
    if content is not None:
        trace.write_text(content)
    with pytest.raises(ScheduleError, match=r"a time in seconds on each line"):
        recorded(trace)
