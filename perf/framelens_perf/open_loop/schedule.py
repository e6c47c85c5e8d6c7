"""When requests leave, drawn up before the first one does: seconds from the start of a run, in order."""

import random
from collections.abc import Sequence
from pathlib import Path


class ScheduleError(Exception):
    """A recorded trace that cannot be replayed."""


def poisson(rate: float, seconds: float, seed: int = 0) -> list[float]:
    """Arrivals of callers who don't know of each other, `rate` a second on average."""
    draw = random.Random(seed)  # noqa: S311 - the same in every run
    arrivals: list[float] = []
    at = draw.expovariate(rate)
    while at < seconds:
        arrivals.append(at)
        at += draw.expovariate(rate)
    return arrivals


def constant(rate: float, seconds: float) -> list[float]:
    """Arrivals at equal distances."""
    return [index / rate for index in range(int(rate * seconds))]


def recorded(trace: Path, speed: float = 1.0) -> list[float]:
    """Arrivals of a file with a time in seconds on each line, in any unit's zero, replayed `speed` times as fast.

    Raises ScheduleError.
    """
    try:
        times = sorted(float(line) for line in trace.read_text(encoding="utf-8").split())
    except (OSError, ValueError) as error:
        raise ScheduleError(f"trace {trace} cannot be read: {error}; put a time in seconds on each line") from error
    if not times:
        raise ScheduleError(f"trace {trace} is empty; put a time in seconds on each line")
    return [(time - times[0]) / speed for time in times]


def offered_rate(schedule: Sequence[float]) -> float:
    """Requests a second over the whole schedule."""
    return len(schedule) / schedule[-1] if schedule and schedule[-1] else 0.0
