"""Admits a bounded number of requests and sheds the rest at once: an answer in time beats a queue."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from framelens_gateway.errors import Overloaded

# Weight of the newest request in the running mean of their durations.
_NEWEST = 0.1
_FIRST_GUESS_S = 0.1
# Sooner than this the callers that were shed would come back all at once.
_SHORTEST_RETRY_S = 0.02
# A stream may last for hours, but with many permits one comes back sooner.
_LONGEST_RETRY_S = 30.0


class Admission:
    """A permit for each request; where none is left, Overloaded."""

    def __init__(self, max_in_flight: int) -> None:
        self._max = max_in_flight
        self._mean_s = _FIRST_GUESS_S
        self.in_flight = 0

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Raises Overloaded, with the mean duration of a request as the time to come back."""
        if self.in_flight >= self._max:
            raise Overloaded(self.in_flight, min(max(self._mean_s, _SHORTEST_RETRY_S), _LONGEST_RETRY_S))
        self.in_flight += 1
        start = time.monotonic()
        answered = False
        try:
            yield
            answered = True
        finally:
            self.in_flight -= 1
            took_s = time.monotonic() - start
            # A request that fails at once says nothing of how long a permit is held; one that fails late does.
            if answered or took_s > self._mean_s:
                self._mean_s += _NEWEST * (took_s - self._mean_s)
