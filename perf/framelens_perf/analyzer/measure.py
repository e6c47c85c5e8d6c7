"""Measures loads: an unstable one again, and a rate of an SLO search by most of its points."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from framelens_perf.analyzer.output import read_point
from framelens_perf.analyzer.results import Load, Point, SloResult, Verdict
from framelens_perf.analyzer.runner import Effort, Runner
from framelens_perf.analyzer.scenario import Slo

Report = Callable[[Point], None]


class Measurement:
    """Points of one scenario, each reported and kept as it comes. Raises RunError."""

    def __init__(self, runner: Runner, effort: Effort, report: Report) -> None:
        self._runner, self._effort, self._report = runner, effort, report
        self.points: list[Point] = []

    def sweep(self, loads: Sequence[Load]) -> None:
        for load in loads:
            self._point(load)

    def search(self, slo: Slo) -> SloResult:
        """The largest Poisson rate whose p99 keeps the bound, by bisection."""
        best, undecided = self._keeps(slo.lowest, slo)
        if best is None:
            return SloResult(slo.p99_ms, None, None, reached_highest=False, undecided=undecided)
        above, undecided = self._keeps(slo.highest, slo)
        if above is not None:
            return SloResult(slo.p99_ms, slo.highest, above, reached_highest=True, undecided=False)
        kept, broken = slo.lowest, slo.highest
        while broken - kept > slo.precision * kept:
            middle = _between(kept, broken)
            point, unsure = self._keeps(middle, slo)
            if point is None:
                # Only the broken rate right above the answer decides it.
                broken, undecided = middle, unsure
            else:
                kept, best = middle, point
        return SloResult(slo.p99_ms, kept, best, reached_highest=False, undecided=undecided)

    def _point(self, load: Load) -> Point:
        """Unstable ones are repeated; what stays unstable has no figures."""
        for attempt in range(1, self._effort.attempts + 1):
            point = replace(read_point(load, self._runner.run(load)), attempts=attempt)
            if point.verdict is not Verdict.UNSTABLE:
                break
        self.points.append(point)
        self._report(point)
        return point

    def _keeps(self, rate: float, slo: Slo) -> tuple[Point | None, bool]:
        """The median of the points that keep the bound, if most of the repeats do; and whether too few could tell."""
        most = self._effort.slo_repeats // 2 + 1
        kept: list[Point] = []
        broken = unsure = 0
        while len(kept) < most and broken + unsure < most:
            point = self._point(Load(rate, open_loop=True))
            if point.figures is not None and point.figures.p99_ms <= slo.p99_ms:
                kept.append(point)
            elif point.verdict in (Verdict.STABLE, Verdict.OVERLOADED):
                broken += 1
            else:
                unsure += 1
        if len(kept) < most:
            return None, broken < most
        return sorted(kept, key=_p99)[len(kept) // 2], False


def _between(lower: float, upper: float) -> float:
    """In the middle by ratio, as a range may span decades, to three digits: finer than any precision allowed."""
    return float(f"{math.sqrt(lower * upper):.3g}")


def _p99(point: Point) -> float:
    return point.figures.p99_ms if point.figures else float("inf")
