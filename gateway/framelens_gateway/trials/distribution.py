"""Values as they come, and what is said of them."""

import math
from collections import deque
from collections.abc import Sequence

from framelens_client.v1 import framelens_pb2 as pb

_KEPT = 2000


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted values; 0 where there are none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


class Distribution:
    """Count and mean of all values; percentiles and maximum of the last 2000."""

    def __init__(self) -> None:
        self._count, self._sum = 0, 0.0
        self._last: deque[float] = deque(maxlen=_KEPT)

    def add(self, *values: float) -> None:
        self._count += len(values)
        self._sum += sum(values)
        self._last.extend(values)

    def report(self) -> pb.Distribution:
        ordered = sorted(self._last)
        return pb.Distribution(
            count=self._count,
            mean=self._sum / self._count if self._count else 0.0,
            p50=percentile(ordered, 0.5),
            p95=percentile(ordered, 0.95),
            p99=percentile(ordered, 0.99),
            max=percentile(ordered, 1),
        )
