"""One kind of change under load: every answer counted, latency before and during, memory."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from framelens_perf.open_loop.summary import percentile
from framelens_perf.processes import memory_mib
from framelens_perf.swap.changes import Step, run
from framelens_perf.swap.load import Answered, Load

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
    memory_grown_mib: float
    memory_allowed_mib: float | None
    # A few of what failed or was wrong, in words.
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Window:
    """A step, and when it ran, of `time.monotonic`."""

    step: Step
    start: float
    end: float
    memory_grown_mib: float

    def holds(self, answer: Answered) -> bool:
        return self.start <= answer.scheduled <= self.end

    def is_followed_by(self, answer: Answered) -> bool:
        """In time to show what the step left behind."""
        return self.start <= answer.scheduled <= self.end + _BETWEEN_S


def measure(steps: Sequence[Step], load: Load, triton: int) -> list[Measured]:
    """Runs the steps one after the other while `load` asks; each kind of change once. Raises CommandFailure."""
    load.start()
    windows = []
    try:
        time.sleep(_BEFORE_S)
        first = time.monotonic()
        for step in steps:
            windows.append(_run(step, triton))
            time.sleep(_BETWEEN_S)
    finally:
        load.stop()
    before = p99([a.latency_ms for a in load.answers if a.scheduled < first - 1])
    kinds = dict.fromkeys(step.name for step in steps)
    return [_measured([w for w in windows if w.step.name == kind], load.answers, before) for kind in kinds]


def _run(step: Step, triton: int) -> _Window:
    with MemoryWatch(triton) as memory:
        start = time.monotonic()
        run(step.command)
        end = time.monotonic()
    return _Window(step, start, end, memory.peak - memory.first)


def _measured(windows: Sequence[_Window], answers: Sequence[Answered], p99_before_ms: float) -> Measured:
    """Of one kind of change."""
    mine = [a for a in answers if any(window.is_followed_by(a) for window in windows)]
    during = [a.latency_ms for a in mine if any(window.holds(a) for window in windows)]
    step = windows[0].step
    return Measured(
        change=step.name,
        requests=len(mine),
        failed=sum(a.outcome != "OK" for a in mine),
        mixed_space=sum(a.mixed_space for a in mine),
        wrong=sum(bool(a.wrong) for a in mine),
        p99_before_ms=p99_before_ms,
        p99_during_ms=p99(during),
        seconds=tuple(round(window.end - window.start, 2) for window in windows),
        memory_grown_mib=max(window.memory_grown_mib for window in windows),
        memory_allowed_mib=step.memory_mib,
        examples=_examples(mine),
    )


def p99(values: Sequence[float]) -> float:
    """The smallest value that 99 % are not above; 0 of none."""
    return percentile(values, 99) if values else 0.0


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
