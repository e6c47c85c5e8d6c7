"""What is counted of objects without a name."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class UnnamedMetrics:
    """The threshold of each collection, and what became of the boxes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._threshold = Gauge(
            "framelens_unnamed_threshold",
            "Score that the best product of an object without a name has to reach; 0 where none is looked for",
            ["collection"],
            registry=registry,
        )
        self._boxes = Counter(
            "framelens_unnamed_boxes",
            "Boxes without a name by outcome: kept, unlike any product, or repeated where the product is found already",
            ["outcome"],
            registry=registry,
        )

    def calibrated(self, collection: str, threshold: float | None) -> None:
        self._threshold.labels(collection).set(threshold or 0.0)

    def forget(self, collection: str) -> None:
        self._threshold.remove(collection)

    def count(self, outcome: str, times: int) -> None:
        self._boxes.labels(outcome).inc(times)
