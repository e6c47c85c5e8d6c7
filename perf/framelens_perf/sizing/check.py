"""Holds the simulation against the report that its costs are from: the same loads on the same number of cores."""

import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from framelens_perf.open_loop.summary import percentile
from framelens_perf.sizing.assumptions import Assumptions
from framelens_perf.sizing.catalog_search import LiteSearch, lite_search
from framelens_perf.sizing.costs import Costs
from framelens_perf.sizing.demand import capacity, work_of
from framelens_perf.sizing.frames import Mix, frames
from framelens_perf.sizing.report import Load, Report
from framelens_perf.sizing.serving import Parts, Serving

_REQUESTS = 24_000
_FEWEST_RUNS = 20
# What a run of so many requests comes to by chance alone, in nine of ten.
_CHANCE = (5.0, 95.0)


@dataclass(frozen=True)
class Simulated:
    """A percentile in ms: measured, its median over simulated runs as long as the measured one, and their spread."""

    measured: float
    simulated: float
    least: float
    most: float

    @property
    def error(self) -> float:
        return self.simulated / self.measured - 1

    @property
    def by_chance(self) -> bool:
        return self.least <= self.measured <= self.most

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"error": self.error, "by_chance": self.by_chance}


@dataclass(frozen=True)
class CheckedLoad:
    """One load of the report; not honest where its generator could not keep the schedule."""

    rate: float
    requests: int
    honest: bool
    p50: Simulated
    p99: Simulated

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"p50": self.p50.to_json(), "p99": self.p99.to_json()}


@dataclass(frozen=True)
class Check:
    """`saturated` is what callers who never pause got, `capacity` what the cores could do; frames a second."""

    loads: list[CheckedLoad]
    saturated: float
    capacity: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "loads": [load.to_json() for load in self.loads]}


def check(report: Report, costs: Costs, assumed: Assumptions, seed: int = 0) -> Check:
    """Nothing is fitted to what it is held against: of the loads, only their rates and lengths are read."""
    search = lite_search(costs, assumed, report.products)
    mix = Mix(costs.objects)
    work = work_of(mix, costs, search, assumed, on_gpus=False)
    return Check(
        [_checked(load, costs, assumed, search, seed) for load in report.curve],
        report.saturated.rate,
        capacity(costs.cores, costs) * 1e3 / work.core_ms,
    )


def _checked(load: Load, costs: Costs, assumed: Assumptions, search: LiteSearch, seed: int) -> CheckedLoad:
    runs = [
        Serving(Parts(costs.cores), costs, search, assumed).latencies_ms(
            frames(_arrivals(load, seed + number), Mix(costs.objects), seed + number)
        )
        for number in range(max(_FEWEST_RUNS, _REQUESTS // load.requests))
    ]
    return CheckedLoad(
        load.offered_rate,
        load.requests,
        load.honest,
        _simulated(load.latency_ms.p50, [percentile(run, 50) for run in runs]),
        _simulated(load.latency_ms.p99, [percentile(run, 99) for run in runs]),
    )


def _arrivals(load: Load, seed: int) -> list[float]:
    """As many as there were, at random: what Poisson arrivals are once their number is known."""
    draw = random.Random(seed)  # noqa: S311 - the same in every run
    seconds = load.requests / load.offered_rate
    return sorted(draw.uniform(0, seconds) for _ in range(load.requests))


def _simulated(measured: float, runs: Sequence[float]) -> Simulated:
    least, most = (percentile(runs, share) for share in _CHANCE)
    return Simulated(measured, statistics.median(runs), least, most)
