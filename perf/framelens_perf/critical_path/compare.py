"""What got better or worse from one set of runs to another, beyond what runs of one set differ by themselves."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

# Figures by their path in report.json, and whether more of it is better.
FIGURES = {
    "bars.recognizer_over_limit": False,
    "bars.saturated_over_limit": True,
    "bars.gateway_added_ms": False,
    "bars.overload.goodput_over_peak": True,
    "bars.overload.p99_ms": False,
    "bars.hot_over_uncached": True,
    "saturated.rate": True,
    "alone.recognizer_ms": False,
    "alone.search_ms": False,
}
# Times the spread within a set: beyond it, a difference of medians is taken for one.
_BEYOND = 2.0
# What figures of one machine differ by though nothing has changed, at the least.
_LEAST = 0.05
_FEWEST_RUNS = 3


class ComparisonError(Exception):
    """Reports that say nothing beside each other: too few, or of other machines or workloads."""


@dataclass(frozen=True)
class Difference:
    """A figure before and after, and what it may differ by in noise alone; as shares of the figure before."""

    figure: str
    before: float
    after: float
    noise: float
    more_is_better: bool

    @property
    def change(self) -> float:
        return (self.after - self.before) / self.before if self.before else 0.0

    @property
    def verdict(self) -> str:
        if abs(self.change) <= self.noise:
            return "same"
        return "better" if (self.change > 0) is self.more_is_better else "worse"


def compare(before: Sequence[Path], after: Sequence[Path]) -> list[Difference]:
    """Reports of runs before a change and after it. Raises ComparisonError."""
    old, new = [_read(path) for path in before], [_read(path) for path in after]
    if min(len(old), len(new)) < _FEWEST_RUNS:
        raise ComparisonError(
            f"{len(old)} runs before and {len(new)} after; at least {_FEWEST_RUNS} of each are needed to know the noise"
        )
    for name in ("precision", "products", "machine"):
        if any(report[name] != old[0][name] for report in (*old, *new)):
            raise ComparisonError(f"the runs differ in {name}; compare runs of one kind on one machine")
    return [_difference(figure, old, new) for figure in FIGURES]


def difference_table(found: Sequence[Difference]) -> Table:
    table = Table("figure", "before", "after", "change", "noise", "")
    colours = {"better": "green", "worse": "bold red", "same": "dim"}
    for each in found:
        shown = f"[{colours[each.verdict]}]{each.verdict}[/]"
        change, noise = f"{each.change:+.1%}", f"±{each.noise:.1%}"
        table.add_row(each.figure, f"{each.before:.3g}", f"{each.after:.3g}", change, noise, shown)
    return table


def _difference(figure: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Difference:
    before, after = ([figure_of(report, figure) for report in reports] for reports in (old, new))
    middle = statistics.median(before)
    spread = max(max(values) - min(values) for values in (before, after)) / 2
    noise = max(_LEAST, _BEYOND * spread / abs(middle) if middle else 0.0)
    return Difference(figure, middle, statistics.median(after), noise, FIGURES[figure])


def figure_of(report: Mapping[str, Any], figure: str) -> float:
    """A number by its path in a report. Raises ComparisonError."""
    value: Any = report
    for name in figure.split("."):
        if not isinstance(value, dict) or name not in value:
            raise ComparisonError(f"the report has no {figure}; was it written by this version?")
        value = value[name]
    return float(value)


def _read(path: Path) -> dict[str, Any]:
    file = path / "report.json" if path.is_dir() else path
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ComparisonError(f"{file} is no report: {error}; give the folder of a run") from error
    return found
