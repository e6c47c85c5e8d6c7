"""A gate fails with the reason, and does not pass what it cannot read."""

import json
from pathlib import Path

import pytest

from framelens_perf.critical_path.compare import ComparisonError
from framelens_perf.critical_path.gate import GateError, broken, read_slo

CI = Path(__file__).parents[4] / "perf/framelens_perf/critical_path/ci.yaml"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"bars": {"saturated_over_limit": 0.7, "overload": {"p99_ms": 180.0}}}))
    return path


def slo(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "slo.yaml"
    path.write_text(text)
    return path


def test_each_broken_bound_is_a_sentence(tmp_path: Path, report: Path) -> None:
    text = """
    bounds:
      - {figure: bars.saturated_over_limit, at_least: 0.8}
      - {figure: bars.overload.p99_ms, at_most: 150}
      - {figure: bars.overload.p99_ms, at_most: 200}
    """
    assert broken(read_slo(slo(tmp_path, text)), report) == [
        "bars.saturated_over_limit is 0.7; at least 0.8 is needed",
        "bars.overload.p99_ms is 180; at most 150 is allowed",
    ]


@pytest.mark.parametrize("text", ["bounds: []", "bounds: [{figure: a}]", "limits: 3", "{", "bounds: [{at_most: 1}]"])
def test_a_file_that_bounds_nothing_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(GateError):
        read_slo(slo(tmp_path, text))


def test_a_figure_that_is_not_there_is_no_pass(tmp_path: Path, report: Path) -> None:
    with pytest.raises(ComparisonError, match=r"no bars.hot"):
        broken(read_slo(slo(tmp_path, "bounds: [{figure: bars.hot, at_most: 1}]")), report)


def test_a_report_that_is_not_there_is_no_pass(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="run `framelens-perf perf` first"):
        broken(read_slo(CI), tmp_path / "missing.json")
