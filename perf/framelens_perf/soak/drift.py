"""Whether something grew: the last third of a run beside its second third, for the first one fills caches and pools."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from framelens_perf.soak.usage import Usage

_FEWEST = 9


@dataclass(frozen=True)
class Allowance:
    """Growth that noise explains: a share of what was there, and so much beside."""

    share: float
    beside: float


# An allocator keeps what it once took; a server opens a connection or starts a thread now and then.
ALLOWED = {
    "memory_mib": Allowance(0.05, 8.0),
    "descriptors": Allowance(0.05, 4.0),
    "threads": Allowance(0.05, 4.0),
}
LATENCY = Allowance(0.5, 5.0)


@dataclass(frozen=True)
class Drift:
    """A figure in the middle of a run and at its end."""

    what: str
    middle: float
    end: float
    allowance: Allowance

    @property
    def grew(self) -> bool:
        return self.end > self.middle * (1 + self.allowance.share) + self.allowance.beside


def drifts(samples: Sequence[Mapping[str, Usage]], latencies_ms: Sequence[float]) -> list[Drift]:
    """Of every part and of the median latency; samples and latencies are in the order of time.

    Raises ValueError where there are too few to tell.
    """
    if min(len(samples), len(latencies_ms)) < _FEWEST:
        raise ValueError(
            f"{len(samples)} samples and {len(latencies_ms)} answers say nothing of growth; run for longer"
        )
    found = [
        _drift(f"{part} {name}", [getattr(sample[part], name) for sample in samples], allowance)
        for part in samples[0]
        for name, allowance in ALLOWED.items()
    ]
    return [*found, _drift("latency_ms", latencies_ms, LATENCY)]


def _drift(what: str, values: Sequence[float], allowance: Allowance) -> Drift:
    third = len(values) // 3
    return Drift(what, statistics.median(values[third : 2 * third]), statistics.median(values[2 * third :]), allowance)
