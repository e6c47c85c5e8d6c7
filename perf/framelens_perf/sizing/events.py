"""A simulation of queues by discrete events: time, cores that are shared, and stations that serve in batches.

What happens to a request is a generator that yields waits; a wait is handed what to call when it is over.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from heapq import heappop, heappush
from typing import Generic, TypeVar

Resume = Callable[[], None]
Wait = Callable[[Resume], None]
Process = Generator[Wait, None, None]
Item = TypeVar("Item")

# Of what is left of a piece of work, in ms: less is the rounding of floating point.
_NOTHING = 1e-9


def start(process: Process, then: Resume) -> None:
    """Runs a process to its end, wait by wait."""

    def step() -> None:
        try:
            wait = next(process)
        except StopIteration:
            then()
        else:
            wait(step)

    step()


class Simulation:
    """Time in ms, and what is to happen when; of two things at one time, what was planned first comes first."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stopped = False
        self._planned: list[tuple[float, int, Resume]] = []
        self._count = 0

    def at(self, time: float, then: Resume) -> None:
        self._count += 1
        heappush(self._planned, (time, self._count, then))

    def delay(self, ms: float) -> Wait:
        """A time in which nothing of what is simulated works."""
        return lambda resume: self.at(self.now + ms, resume)

    def run(self) -> None:
        """Until nothing more is planned, or someone has stopped it."""
        while self._planned and not self.stopped:
            self.now, _, then = heappop(self._planned)
            then()


class Cores:
    """Cores that all running work shares, each piece in proportion to its threads, as Linux shares them.

    `all_busy` is the speed of a core while `together` or more of them work, as a share of its speed alone: they share
    memory and caches. Between one and `together` it falls evenly.
    """

    def __init__(self, simulation: Simulation, count: int, all_busy: float = 1.0, together: int = 1) -> None:
        self._simulation = simulation
        self._count = count
        self._lost, self._together = 1 - all_busy, together
        self._threads = 0.0
        # How far a thread that always ran would be. All threads run at one speed, so this orders what ends first.
        self._reached = 0.0
        self._speed = 1.0
        self._since = 0.0
        self._running: list[tuple[float, int, float, Resume]] = []
        self._begun = 0
        # Of the piece whose end is planned; nothing else ends before it.
        self._first = 0
        self._plans = 0

    def work(self, ms: float, threads: float = 1.0) -> Wait:
        """`ms` is what one core alone would take; `threads` is how many times faster it is with cores to spare."""

        def begin(resume: Resume) -> None:
            self._catch_up()
            self._threads += threads
            self._begun += 1
            heappush(self._running, (self._reached + ms / threads, self._begun, threads, resume))
            self._plan()

        return begin

    def _catch_up(self) -> None:
        self._reached += (self._simulation.now - self._since) * self._speed
        self._since = self._simulation.now

    def _plan(self) -> None:
        """When the first piece ends, if nothing begins before."""
        busy = min(self._threads, self._count)
        crowded = min(1.0, max(0.0, busy - 1) / (self._together - 1)) if self._together > 1 else 1.0
        speed = busy / self._threads * (1 - self._lost * crowded)
        reaches, first, *_ = self._running[0]
        if first == self._first and speed == self._speed:
            return
        self._first, self._speed = first, speed
        self._plans += 1
        plan = self._plans
        left = max(0.0, reaches - self._reached)
        self._simulation.at(self._simulation.now + left / speed, lambda: self._end(plan))

    def _end(self, plan: int) -> None:
        """A plan that was replaced ends nothing."""
        if plan != self._plans:
            return
        self._catch_up()
        over: list[Resume] = []
        while self._running and self._running[0][0] <= self._reached + _NOTHING:
            _, _, threads, resume = heappop(self._running)
            self._threads -= threads
            over.append(resume)
        if self._running:
            self._plan()
        else:
            self._threads, self._first = 0.0, 0
        for resume in over:
            resume()


class Station(Generic[Item]):
    """Servers that each take what waits as one batch, up to `most`, and wait for nothing more."""

    def __init__(self, serve: Callable[[Sequence[Item]], Process], servers: int, most: int = 1) -> None:
        self._serve = serve
        self._free = servers
        self._most = most
        self._waiting: deque[tuple[Item, int, Resume]] = deque()

    def ask(self, item: Item, weight: int = 1) -> Wait:
        """`weight` is how much of a batch it fills."""

        def arrive(resume: Resume) -> None:
            self._waiting.append((item, weight, resume))
            self._begin()

        return arrive

    def _begin(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            batch = self._next_batch()
            start(self._serve([item for item, _ in batch]), self._ended([resume for _, resume in batch]))

    def _next_batch(self) -> list[tuple[Item, Resume]]:
        item, filled, resume = self._waiting.popleft()
        batch = [(item, resume)]
        while self._waiting and filled + self._waiting[0][1] <= self._most:
            item, weight, resume = self._waiting.popleft()
            batch.append((item, resume))
            filled += weight
        return batch

    def _ended(self, resumes: Sequence[Resume]) -> Resume:
        def end() -> None:
            self._free += 1
            for resume in resumes:
                resume()
            self._begin()

        return end
