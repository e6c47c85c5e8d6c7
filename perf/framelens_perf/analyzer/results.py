"""What was measured: figures where a measurement can be trusted, and a word where it cannot."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Whether a point's figures mean anything; only a stable point has figures."""

    STABLE = "stable"
    # perf_analyzer's windows did not agree, however often it was asked.
    UNSTABLE = "unstable"
    # The load generator kept too little of its schedule: it measured itself.
    DELAYED = "delayed"
    # The server answered clearly less than was asked, so latency grew for as long as the run lasted.
    OVERLOADED = "overloaded"


@dataclass(frozen=True)
class Load:
    """Callers at once who wait for their answers, or Poisson arrivals a second of callers who don't."""

    value: float
    open_loop: bool

    def __str__(self) -> str:
        return f"{self.value:g} requests/s" if self.open_loop else f"{self.value:g} at once"


@dataclass(frozen=True)
class Figures:
    """Latency in ms as callers see it, mean ms in the server by stage, answers a second, and how many were counted."""

    requests: int
    throughput: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    queue_ms: float
    compute_input_ms: float
    compute_infer_ms: float
    compute_output_ms: float


@dataclass(frozen=True)
class Point:
    """One load and what came of it.

    `delayed_share` is None where perf_analyzer does not tell: it does so above 1 % alone.
    """

    load: Load
    verdict: Verdict
    figures: Figures | None
    delayed_share: float | None
    said: str
    attempts: int = 1

    def to_json(self) -> dict[str, Any]:
        load = {"kind": "poisson" if self.load.open_loop else "concurrency", "value": self.load.value}
        return asdict(self) | {"load": load, "verdict": self.verdict.value}


@dataclass(frozen=True)
class SloResult:
    """The largest rate that was seen to keep p99 within the bound, and the point there; None where none was.

    `undecided` says that a point which decided was unstable, `reached_highest` that a larger rate might do as well.
    """

    p99_ms: float
    rate: float | None
    point: Point | None
    reached_highest: bool
    undecided: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"point": self.point.to_json() if self.point else None}


@dataclass(frozen=True)
class ScenarioResult:
    """Every point of a scenario in the order of their measurement, and the engine versions that answered."""

    name: str
    about: str
    model: str
    shared_memory: bool
    engines: dict[str, str]
    points: tuple[Point, ...]
    slo: SloResult | None = None

    @property
    def trusted(self) -> bool:
        """Whether no point of a sweep, nor what a search came to, is unstable or delayed."""
        if self.slo is not None:
            return not self.slo.undecided
        return all(point.verdict in (Verdict.STABLE, Verdict.OVERLOADED) for point in self.points)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "points": [point.to_json() for point in self.points],
            "slo": self.slo.to_json() if self.slo else None,
        }
