"""The bounds of a canary, and when one of them is left."""

import math
from collections import deque
from dataclasses import dataclass

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.trials.distribution import percentile

_LARGEST_WINDOW = 2000


@dataclass(frozen=True)
class Bounds:
    """Rates in 0..1, times in milliseconds."""

    max_error_rate: float = 0.02
    max_p99_ratio: float = 2.0
    max_p99_ms: float | None = None
    min_requests: int = 100
    window: int = 500

    @classmethod
    def read(cls, asked: pb.Bounds) -> "Bounds":
        """What is absent has its default. Raises InvalidRequest."""
        bounds = cls(**{field.name: value for field, value in asked.ListFields()})
        _expect(0 <= bounds.max_error_rate <= 1, "max_error_rate", bounds.max_error_rate, "in 0..1")
        _expect(1 <= bounds.max_p99_ratio < math.inf, "max_p99_ratio", bounds.max_p99_ratio, "at least 1")
        _expect(bounds.max_p99_ms is None or 0 < bounds.max_p99_ms < math.inf, "max_p99_ms", bounds.max_p99_ms, "> 0")
        _expect(1 <= bounds.window <= _LARGEST_WINDOW, "window", bounds.window, f"in 1..{_LARGEST_WINDOW}")
        _expect(1 <= bounds.min_requests <= bounds.window, "min_requests", bounds.min_requests, "in 1..window")
        return bounds

    def as_message(self) -> pb.Bounds:
        return pb.Bounds(
            max_error_rate=self.max_error_rate,
            max_p99_ratio=self.max_p99_ratio,
            max_p99_ms=self.max_p99_ms,
            min_requests=self.min_requests,
            window=self.window,
        )


@dataclass(frozen=True)
class Breach:
    """The bound that was left, and a sentence with the figures."""

    bound: str
    sentence: str


class Window:
    """The last requests of a group: how long each took that was answered; None for one that failed.

    A failure is judged as such: how fast it came says nothing of the speed of answers.
    """

    def __init__(self, size: int) -> None:
        self._last: deque[float | None] = deque(maxlen=size)

    def add(self, milliseconds: float | None) -> None:
        self._last.append(milliseconds)

    @property
    def requests(self) -> int:
        return len(self._last)

    @property
    def errors(self) -> int:
        return sum(each is None for each in self._last)

    @property
    def answered(self) -> int:
        return self.requests - self.errors

    @property
    def error_rate(self) -> float:
        return self.errors / len(self._last) if self._last else 0.0

    def percentile_ms(self, share: float) -> float:
        return percentile(sorted(each for each in self._last if each is not None), share)

    def slower_than(self, milliseconds: float) -> int:
        return sum(each is not None and each > milliseconds for each in self._last)

    def report(self) -> pb.CanaryGroup:
        return pb.CanaryGroup(
            requests=self.requests,
            errors=self.errors,
            error_rate=self.error_rate,
            p50_ms=self.percentile_ms(0.5),
            p99_ms=self.percentile_ms(0.99),
        )


def breach(bounds: Bounds, candidate: Window, control: Window) -> Breach | None:
    """The bound that the candidate has left, or None.

    Errors and slow requests are counted against at least `min_requests`: a few odd ones at the start end nothing, and
    what would leave a bound by then whatever follows ends it at once.
    """
    excess = candidate.errors - control.error_rate * candidate.requests
    if excess > bounds.max_error_rate * max(candidate.requests, bounds.min_requests):
        return Breach(
            "error_rate",
            f"{candidate.errors} of the last {candidate.requests} requests failed, {control.errors} of "
            f"{control.requests} in the control group; the bound is {bounds.max_error_rate:g} above the control group",
        )
    return _slow(bounds, candidate, control)


def _slow(bounds: Bounds, candidate: Window, control: Window) -> Breach | None:
    """Where more than one in a hundred is slower than a limit, p99 is above it."""
    many = 0.01 * max(candidate.answered, bounds.min_requests)
    if bounds.max_p99_ms is not None and candidate.slower_than(bounds.max_p99_ms) > many:
        return Breach("p99", f"{_said(candidate)}; the bound is {bounds.max_p99_ms:g} ms")
    if control.answered < bounds.min_requests:
        return None
    control_p99 = control.percentile_ms(0.99)
    if candidate.slower_than(bounds.max_p99_ratio * control_p99) > many:
        limit = f"the control group's {control_p99:.0f} ms; the bound is {bounds.max_p99_ratio:g} times that"
        return Breach("p99_ratio", f"{_said(candidate)}, {limit}")
    return None


def _said(candidate: Window) -> str:
    return f"p99 of the last {candidate.answered} answers is {candidate.percentile_ms(0.99):.0f} ms"


def _expect(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise InvalidRequest(f"bounds.{name} is {value}; it must be {rule}")
