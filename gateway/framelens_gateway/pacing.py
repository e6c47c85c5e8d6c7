"""Refuses at once what could not be recognised before its caller's deadline: an early no beats a late one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, Overloaded
from framelens_gateway.recognizer import Recognition, RecognizerCall, Recognizes

# Weight of the newest recognition in the running mean; what gets faster is believed sooner, for a mean that is too
# high refuses those who would correct it.
_NEWEST_SLOWER, _NEWEST_FASTER = 0.1, 0.3
# As TCP times its packets (RFC 6298): what a recognition may take is its mean and some of its mean deviation more. The
# search behind it is left the rest.
_DEVIATIONS = 2.0
# Sooner than this the callers that were refused would come back all at once.
_SHORTEST_RETRY_S = 0.02


class PacedRecognizer:
    """Knows how long a recognition takes behind those that are in flight.

    Under load that time grows with their number, so it learns the time of each: latency over the number in flight.
    """

    def __init__(self, recognizer: Recognizes) -> None:
        self._recognizer = recognizer
        self._in_flight = 0
        self._each_s = 0.0
        self._deviation_s = 0.0

    async def recognize(self, call: RecognizerCall, deadline: Deadline) -> Recognition:
        """Raises Overloaded where the deadline could not be kept, and what the recognizer raises."""
        left_s = deadline.remaining("the wait for recognizer")
        expected_s = (self._each_s + _DEVIATIONS * self._deviation_s) * (self._in_flight + 1)
        # One alone is always tried: it says how things stand now.
        if self._in_flight and expected_s > left_s:
            raise Overloaded(self._in_flight, max(expected_s - left_s, _SHORTEST_RETRY_S))
        with self._timed():
            return await self._recognizer.recognize(call, deadline)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        self._in_flight += 1
        before, started = self._in_flight, time.monotonic()
        try:
            yield
        except DeadlineExceeded:
            self._learn((time.monotonic() - started) / before)
            raise
        else:
            each_s = (time.monotonic() - started) / before
            # One alone takes longer than each of several, so it can only tell that they are faster than thought.
            if before > 1 or each_s < self._each_s or not self._each_s:
                self._learn(each_s)
        finally:
            self._in_flight -= 1

    def _learn(self, each_s: float) -> None:
        if not self._each_s:
            self._each_s = each_s
            return
        difference_s = each_s - self._each_s
        weight = _NEWEST_FASTER if difference_s < 0 else _NEWEST_SLOWER
        self._each_s += weight * difference_s
        self._deviation_s += weight * (abs(difference_s) - self._deviation_s)
