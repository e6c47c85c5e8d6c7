"""One kind of change under load: every answer counted, latency before and during, memory."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from framelens_perf.swap.changes import Command, run
from framelens_perf.swap.load import Answered, Load
from framelens_perf.swap.processes import memory_mib

# Long enough for some hundred answers, which a 99th percentile needs.
_BEFORE_S = 15.0
_BETWEEN_S = 3.0
_SAMPLE_S = 0.05
_SHOWN = 5


@dataclass(frozen=True)
class Measured:
    """What callers met. Times in ms; memory in MiB, of Triton with its engines."""

    change: str
    requests: int
    failed: int
    mixed_space: int
    wrong: int
    p99_before_ms: float
    p99_during_ms: float
    seconds: tuple[float, ...]
    memory_before: float
    memory_peak: float
    # A few of what failed or was wrong, in words.
    examples: tuple[str, ...] = ()


def measure(change: str, commands: Sequence[Command], load: Load, triton: int) -> Measured:
    """Runs the commands one after the other while `load` asks. Raises CommandFailure."""
    load.start()
    windows = []
    with MemoryWatch(triton) as memory:
        try:
            time.sleep(_BEFORE_S)
            for command in commands:
                started = time.monotonic()
                run(command)
                windows.append((started, time.monotonic()))
                time.sleep(_BETWEEN_S)
        finally:
            load.stop()
    first = windows[0][0]
    before = [a.latency_ms for a in load.answers if a.scheduled < first - 1]
    during = [a.latency_ms for a in load.answers if any(start <= a.scheduled <= end for start, end in windows)]
    return Measured(
        change=change,
        requests=len(load.answers),
        failed=sum(a.outcome != "OK" for a in load.answers),
        mixed_space=sum(a.mixed_space for a in load.answers),
        wrong=sum(bool(a.wrong) for a in load.answers),
        p99_before_ms=p99(before),
        p99_during_ms=p99(during),
        seconds=tuple(round(end - start, 2) for start, end in windows),
        memory_before=memory.first,
        memory_peak=memory.peak,
        examples=_examples(load.answers),
    )


def p99(values: Sequence[float]) -> float:
    """The smallest value that 99 % are not above."""
    ordered = sorted(values)
    return ordered[-(-99 * len(ordered) // 100) - 1] if ordered else 0.0


def _examples(answers: Sequence[Answered]) -> tuple[str, ...]:
    told = [a.wrong if a.outcome == "OK" else a.outcome for a in answers if a.outcome != "OK" or a.wrong]
    return tuple(told[:_SHOWN])


@dataclass
class MemoryWatch:
    """Samples the memory of a process and its descendants until it is left."""

    root: int
    first: float = 0.0
    peak: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "MemoryWatch":
        self.first = self.peak = memory_mib(self.root)
        self._thread = threading.Thread(target=self._watch, name="memory")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self.peak = max(self.peak, memory_mib(self.root))
