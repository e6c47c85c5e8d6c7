"""Which objects without a name are kept: those of which the catalogue is sure, and each product once."""

from collections.abc import Sequence
from dataclasses import dataclass

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.geometry import area, shared_area
from framelens_gateway.index import Collection
from framelens_gateway.routing import UNNAMED_LABEL
from framelens_gateway.unnamed.calibrations import Calibrations
from framelens_gateway.unnamed.metrics import UnnamedMetrics

# Of the smaller of two boxes. One that lies so far within another shows the same thing, or a part of it.
_SAME_PLACE = 0.5


class UnnamedObjects:
    """Goods that the detector has no name for."""

    def __init__(self, calibrations: Calibrations, boxes: int, metrics: UnnamedMetrics) -> None:
        self._calibrations, self._boxes, self._metrics = calibrations, boxes, metrics

    def sought(self, request: pb.RecognizeRequest, collection: Collection) -> "Sought":
        """What a request gets: nothing where it, the settings or the collection have none."""
        if not self._boxes or (request.HasField("unnamed_objects") and not request.unnamed_objects):
            return NOTHING
        threshold = self._calibrations.threshold(collection)
        return NOTHING if threshold is None else Sought(self._boxes, threshold, self._metrics)


@dataclass(frozen=True)
class Sought:
    """So many boxes of one picture, of which those are kept whose first match reaches the threshold."""

    boxes: int
    threshold: float
    metrics: UnnamedMetrics | None = None

    def kept(self, objects: Sequence[pb.RecognizedObject]) -> list[pb.RecognizedObject]:
        """Named objects as they are, then those without a name that are kept, the best first."""
        if not self.boxes:
            return list(objects)
        named = [found for found in objects if found.label != UNNAMED_LABEL]
        unnamed = [found for found in objects if found.label == UNNAMED_LABEL]
        like = [found for found in unnamed if found.matches and found.matches[0].score >= self.threshold]
        kept = _once(sorted(like, key=lambda found: -found.matches[0].score), named)
        for found in kept:
            found.match_threshold = self.threshold
        if self.metrics is not None:
            self.metrics.count("kept", len(kept))
            self.metrics.count("repeated", len(like) - len(kept))
            self.metrics.count("unlike", len(unnamed) - len(like))
        return [*named, *kept]


NOTHING = Sought(0, 1.0)


def _once(like: Sequence[pb.RecognizedObject], named: Sequence[pb.RecognizedObject]) -> list[pb.RecognizedObject]:
    """The best of each product, without those that show what a named object led to already."""
    kept: dict[str, pb.RecognizedObject] = {}
    for found in like:
        product = found.matches[0].id
        if not any(_leads_to(product, other) and _same_place(found.box, other.box) for other in named):
            kept.setdefault(product, found)
    return list(kept.values())


def _leads_to(product: str, found: pb.RecognizedObject) -> bool:
    return bool(found.matches) and found.matches[0].id == product


def _same_place(one: pb.Box, other: pb.Box) -> bool:
    return shared_area(one, other) >= _SAME_PLACE * min(area(one), area(other))
