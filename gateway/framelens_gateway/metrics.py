"""What the gateway counts, in Prometheus' form."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from framelens_gateway.trials.metrics import TrialMetrics
from framelens_gateway.unnamed.metrics import UnnamedMetrics

# Seconds; dense where frames take their time.
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30)


class Metrics:
    """One set for a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "framelens_requests",
            "Calls by method and outcome (OK or a reason)",
            ["method", "outcome"],
            registry=self.registry,
        )
        self.streams = Counter(
            "framelens_streams",
            "Calls of streaming methods that have ended, by method and outcome (OK or a reason)",
            ["method", "outcome"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "framelens_request_seconds",
            "Duration of admitted calls",
            ["method"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "framelens_stage_seconds",
            "Duration of stages of a search",
            ["stage"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("framelens_in_flight", "Admitted calls in flight", ["kind"], registry=self.registry)
        self.part_up = Gauge("framelens_part_up", "1 where a part answers", ["part"], registry=self.registry)
        self.trials = TrialMetrics(self.registry)
        self.caches = CacheMetrics(self.registry)
        self.unnamed = UnnamedMetrics(self.registry)


class CacheMetrics:
    """How often an answer was given again."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._looked_up = Counter(
            "framelens_cache_lookups",
            "Recognitions and searches that were looked up: hit, miss, or joined to one in flight",
            ["cache", "outcome"],
            registry=registry,
        )

    def count(self, cache: str, outcome: str, times: int = 1) -> None:
        self._looked_up.labels(cache, outcome).inc(times)
