"""What a swap's bars catch."""

from dataclasses import replace
from typing import Any

import pytest

from framelens_perf.swap.kills import Kill
from framelens_perf.swap.measured import Measured, p99
from framelens_perf.swap.verdict import verdict

GOOD = Measured(
    change="publish detector",
    requests=400,
    failed=0,
    mixed_space=0,
    wrong=0,
    p99_before_ms=100,
    p99_during_ms=200,
    seconds=(3.0,),
    memory_grown_mib=90,
    memory_allowed_mib=100,
)
INT8 = {
    "int8_dot_product": True,
    "detector_speedup": 2.4,
    "embedder_speedup": 1.9,
    "detector_f1": 0.95,
    "recall_delta": -0.01,
}


def test_what_keeps_every_bar_has_no_faults() -> None:
    assert verdict([GOOD, replace(GOOD, change="migrate", memory_allowed_mib=None)], [], INT8) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"failed": 1}, "publish detector: 1 answers failed"),
        ({"mixed_space": 2}, "publish detector: 2 answers of a mixed space"),
        ({"wrong": 3}, "publish detector: 3 answers wrong"),
        ({"p99_during_ms": 201}, "publish detector: p99 2.01 times that before (bar 2.0)"),
        ({"memory_grown_mib": 101}, "publish detector: 101 MiB more than before (bar 100)"),
    ],
)
def test_what_callers_met_is_a_fault(change: dict[str, Any], fault: str) -> None:
    assert verdict([replace(GOOD, **change)], [], INT8) == [fault]


def test_lost_writes_are_a_fault() -> None:
    kill = Kill("migrate", "gateway", 1.0, 2.0, 1, 40, ("p1", "p2"))
    assert verdict([], [kill], INT8) == ["2 writes lost by kill -9 of gateway in migrate"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"detector_speedup": 2.29}, "int8 detector_speedup 2.290 (bar 2.3)"),
        ({"embedder_speedup": 1.79}, "int8 embedder_speedup 1.790 (bar 1.8)"),
        ({"detector_f1": 0.949}, "int8 detector_f1 0.949 (bar 0.95)"),
        ({"recall_delta": -0.011}, "int8 recall_delta -0.011 (bar -0.01)"),
        ({"int8_dot_product": False, "detector_speedup": 1.0}, "int8 detector_speedup 1.000 (bar 1.1)"),
    ],
)
def test_an_engine_that_is_not_worth_it_is_a_fault(change: dict[str, Any], fault: str) -> None:
    assert verdict([], [], INT8 | change) == [fault]


def test_p99_is_the_smallest_that_99_percent_are_not_above() -> None:
    assert [p99(range(1, 101)), p99(range(1, 102)), p99([7.0])] == [99, 100, 7.0]
