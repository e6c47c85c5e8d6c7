"""A comparison tells a change from noise, and refuses what says nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framelens_perf.critical_path.compare import ComparisonError, compare

Write = Callable[..., Path]


def report(rate: float = 50.0, **changed: Any) -> dict[str, Any]:
    return {
        "precision": "int8",
        "products": 1000,
        "machine": {"cores": 2},
        "bars": {
            "recognizer_over_limit": 1.1,
            "saturated_over_limit": 0.8,
            "gateway_added_ms": 3.0,
            "overload": {"goodput_over_peak": 0.9, "p99_ms": 120.0},
            "hot_over_uncached": 8.0,
        },
        "saturated": {"rate": rate},
        "alone": {"recognizer_ms": 40.0, "search_ms": 5.0},
        **changed,
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    count = iter(range(100))

    def written(**changed: Any) -> Path:
        folder = tmp_path / str(next(count))
        folder.mkdir()
        (folder / "report.json").write_text(json.dumps(report(**changed)))
        return folder

    return written


def verdicts(before: list[Path], after: list[Path]) -> dict[str, str]:
    return {each.figure: each.verdict for each in compare(before, after)}


def test_what_differs_no_more_than_runs_of_one_kind_is_the_same(write: Write) -> None:
    before, after = [write(rate=rate) for rate in (45, 50, 55)], [write(rate=rate) for rate in (48, 53, 58)]
    assert set(verdicts(before, after).values()) == {"same"}


@pytest.mark.parametrize(("rates", "verdict"), [((70, 71, 72), "better"), ((30, 31, 32), "worse")])
def test_what_differs_by_more_is_told(write: Write, rates: tuple[float, ...], verdict: str) -> None:
    found = verdicts([write(rate=rate) for rate in (49, 50, 51)], [write(rate=rate) for rate in rates])
    assert found.pop("saturated.rate") == verdict
    assert set(found.values()) == {"same"}


def test_less_time_is_better(write: Write) -> None:
    faster = {"recognizer_ms": 20.0, "search_ms": 5.0}
    found = verdicts([write() for _ in range(3)], [write(alone=faster) for _ in range(3)])
    assert found["alone.recognizer_ms"] == "better"


def test_single_runs_are_refused(write: Write) -> None:
    with pytest.raises(ComparisonError, match="1 runs before and 1 after; at least 3"):
        compare([write()], [write()])


@pytest.mark.parametrize("other", [{"precision": "fp32"}, {"products": 5}, {"machine": {"cores": 4}}])
def test_runs_of_another_kind_are_refused(write: Write, other: dict[str, Any]) -> None:
    with pytest.raises(ComparisonError, match=f"differ in {next(iter(other))}"):
        compare([write() for _ in range(3)], [write(**other) for _ in range(3)])


def test_what_is_no_report_is_named(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ComparisonError, match=r"missing/report.json|missing is no report"):
        compare([write(), write(), tmp_path / "missing"], [write() for _ in range(3)])
