"""Growth is told from noise and from what a start takes."""

import os

import pytest

from framelens_perf.soak.drift import drifts
from framelens_perf.soak.usage import Usage, usages

FLAT_MS = [40.0, 42.0, 39.0] * 30


def grown(memory: list[float], threads: int = 20) -> list[str]:
    samples = [{"gateway": Usage(each, 30, threads)} for each in memory]
    return [each.what for each in drifts(samples, FLAT_MS) if each.grew]


def test_a_leak_is_found() -> None:
    assert grown([200 + minute for minute in range(90)]) == ["gateway memory_mib"]


def test_what_a_start_takes_is_no_leak() -> None:
    assert grown([100.0] * 10 + [300.0, 302.0, 299.0] * 27) == []


def test_latency_that_grows_is_found() -> None:
    samples = [{"gateway": Usage(100, 30, 20)}] * 30
    (found,) = [each for each in drifts(samples, [40.0] * 60 + [90.0] * 30) if each.grew]
    assert found.what == "latency_ms"


def test_a_short_run_is_refused() -> None:
    with pytest.raises(ValueError, match="run for longer"):
        drifts([{"gateway": Usage(100, 30, 20)}] * 5, FLAT_MS)


def test_a_process_has_memory_descriptors_and_threads() -> None:
    mine = usages({"me": os.getpid()})["me"]
    assert mine.memory_mib > 1
    assert mine.descriptors > 0
    assert mine.threads > 0


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert usages({"gone": 2**22 + 1})["gone"] == Usage(0.0, 0, 0)
