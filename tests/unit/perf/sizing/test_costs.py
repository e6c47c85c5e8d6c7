"""Costs are what a report measured, and a report that lacks them is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framelens_perf.sizing.costs import costs_of
from framelens_perf.sizing.failures import ReportUnusable
from framelens_perf.sizing.report import Report, read_report

Write = Callable[[Any], Path]


def test_costs_are_of_one_core_and_one_object(write: Write, report: dict[str, Any]) -> None:
    costs = costs_of(read_report(write(report)))
    assert costs.objects == pytest.approx(1.62)
    assert costs.embed_ms * costs.objects == pytest.approx(8)
    assert costs.detect_threads == pytest.approx(14 / 8)
    assert costs.all_busy == pytest.approx(65 * 0.029 / 2)


def test_a_machine_that_got_slower_is_no_speed_up(report: dict[str, Any]) -> None:
    report["alone"]["stages_in_process_ms"] *= 1.5
    for stage in ("detect", "embed"):
        report["alone"]["stages_ms"][stage] *= 1.5
    assert costs_of(Report.model_validate(report)).detect_threads == pytest.approx(14 / 8)


def test_noise_makes_no_impossible_machine(report: dict[str, Any]) -> None:
    report["alone"]["stages_ms"] |= {"detect": 99.0, "embed": 0.1}
    report["saturated"]["all_cores_rate"] = 500.0
    costs = costs_of(Report.model_validate(report))
    assert (costs.detect_threads, costs.embed_threads, costs.all_busy) == (1, 2, 1)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (("machine",), {}, r"machine\.cores"),
        (("saturated", "one_core_stages_ms", "detect"), -1, r"saturated\.one_core_stages_ms\.detect"),
        (("alone", "search_ms"), None, r"alone\.search_ms"),
        (("alone", "gateway_added_ms"), float("nan"), r"alone\.gateway_added_ms"),
        (("curve",), [], "curve"),
    ],
)
def test_what_is_missing_is_named(
    write: Write, report: dict[str, Any], at: tuple[str, ...], value: Any, said: str
) -> None:
    inner = report
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = value
    with pytest.raises(ReportUnusable, match=rf"report\.json does not say what sizing needs: {said}.*make perf"):
        read_report(write(report))


def test_no_objects_are_no_cost(report: dict[str, Any]) -> None:
    del report["curve"][0]["triton"]["embedder_effnet_lite0"]
    with pytest.raises(ReportUnusable, match="no objects"):
        costs_of(Report.model_validate(report))


@pytest.mark.parametrize("content", ["", "[1]"])
def test_what_is_no_report(tmp_path: Path, content: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(ReportUnusable, match="run `make perf`"):
        read_report(path)
    with pytest.raises(ReportUnusable, match=r"missing is no report.*run `make perf` first"):
        read_report(tmp_path / "missing")
