"""What Triton itself says of a stretch of time: how large its batches were, how long requests waited and computed."""

from dataclasses import asdict, dataclass
from typing import Any

from tritonclient.grpc import InferenceServerClient

_MS = 1e-6


@dataclass(frozen=True)
class ModelStatistics:
    """Of one model between two looks; times are means in ms, of one request."""

    requests: int
    mean_batch: float
    queue_ms: float
    compute_ms: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class TritonStatistics:
    """Looks at a Triton's counters, and says what came since the look before."""

    def __init__(self, address: str) -> None:
        self._client = InferenceServerClient(address)
        self._before = self._counters()

    def since(self) -> dict[str, ModelStatistics]:
        """By model, of those that were asked; versions of one model together."""
        now = self._counters()
        grown = {
            model: {name: count - self._before.get(model, {}).get(name, 0) for name, count in counters.items()}
            for model, counters in now.items()
        }
        self._before = now
        return {model: _statistics(counters) for model, counters in grown.items() if counters["requests"]}

    def close(self) -> None:
        self._client.close()

    def _counters(self) -> dict[str, dict[str, int]]:
        totals: dict[str, dict[str, int]] = {}
        for each in self._client.get_inference_statistics().model_stats:
            counters = totals.setdefault(each.name, dict.fromkeys(("requests", "inferences", "executions"), 0))
            stats = each.inference_stats
            for name, count in (
                ("requests", stats.success.count),
                ("inferences", each.inference_count),
                ("executions", each.execution_count),
                ("queue", stats.queue.ns),
                ("compute", stats.compute_infer.ns),
            ):
                counters[name] = counters.get(name, 0) + count
        return totals


def _statistics(counters: dict[str, int]) -> ModelStatistics:
    requests = counters["requests"]
    return ModelStatistics(
        requests,
        counters["inferences"] / max(1, counters["executions"]),
        counters["queue"] * _MS / requests,
        counters["compute"] * _MS / requests,
    )
