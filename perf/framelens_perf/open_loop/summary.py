"""What a run of load came to: rates, percentiles and status codes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from framelens_perf.open_loop.sender import OK, Sent

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
# A generator that leaves more than this share of its requests later than `_LATE_MS` measures itself.
_MOST_DELAYED = 0.01
_LATE_MS = 20.0


@dataclass(frozen=True)
class Summary:
    """Latency in ms, from the time at which a request was due, of those that were answered; rates a second."""

    offered_rate: float
    goodput: float
    codes: dict[str, int]
    latency_ms: dict[str, float]
    refused_ms: float | None
    delayed_share: float

    @property
    def honest(self) -> bool:
        """Whether the generator kept its schedule."""
        return self.delayed_share <= _MOST_DELAYED

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"honest": self.honest}


def summarize(sent: Sequence[Sent[Any]], seconds: float) -> Summary:
    """Of a run that offered load for `seconds`; goodput counts answers that came before its end."""
    answered = [each for each in sent if each.code == OK]
    refused = [each.answer_ms for each in sent if each.code == "RESOURCE_EXHAUSTED"]
    in_time = sum(each.due_s + each.latency_ms / 1e3 <= seconds for each in answered)
    return Summary(
        offered_rate=len(sent) / seconds,
        goodput=in_time / seconds,
        codes=dict(Counter(each.code for each in sent).most_common()),
        latency_ms=percentiles([each.latency_ms for each in answered]),
        refused_ms=percentile(refused, 50) if refused else None,
        delayed_share=sum(each.late_ms > _LATE_MS for each in sent) / max(1, len(sent)),
    )


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50 to p99.9 by name, empty where there are no values."""
    return {f"p{share:g}": percentile(values, share) for share in PERCENTILES} if values else {}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` percent of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 100) - 1)]
