"""Where the time of a batch goes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class StageClock:
    """Milliseconds that a batch spent in each stage."""

    def __init__(self, stages: Sequence[str]) -> None:
        self.stages_ms = dict.fromkeys(stages, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages_ms[name] += (time.perf_counter() - start) * 1e3

    @property
    def total_ms(self) -> float:
        return sum(self.stages_ms.values())

    def add_shared(self, elapsed_ms: float, clocks: Sequence["StageClock"]) -> None:
        """Adds time in which several threads worked, shared out as their own clocks say."""
        worked_ms = sum(clock.total_ms for clock in clocks)
        for stage in self.stages_ms if worked_ms else ():
            self.stages_ms[stage] += elapsed_ms * sum(clock.stages_ms[stage] for clock in clocks) / worked_ms
