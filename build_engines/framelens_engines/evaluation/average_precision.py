"""Mean average precision of detections against people's labels, by COCO's rules."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framelens_engines.evaluation.detections import Objects
from framelens_engines.evaluation.pictures import LabelledBox
from framelens_triton.images.nms import iou_with

# COCO's: precision is read at 101 recalls, at IoU .5 and at ten IoUs from .5 to .95.
_RECALLS = np.linspace(0, 1, 101)
_IOUS = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True)
class AveragePrecision:
    """Means over the labels that people gave; 0 where they gave none."""

    at_50: float
    at_50_95: float


def mean_average_precision(truth: Sequence[Sequence[LabelledBox]], found: Sequence[Objects]) -> AveragePrecision:
    """`truth` and `found` by picture, in the same order."""
    labels = sorted({box.label for boxes in truth for box in boxes})
    if not labels:
        return AveragePrecision(0.0, 0.0)
    table = np.array([[_average_precision(truth, found, label, iou) for iou in _IOUS] for label in labels])
    return AveragePrecision(float(table[:, 0].mean()), float(table.mean()))


def _average_precision(
    truth: Sequence[Sequence[LabelledBox]], found: Sequence[Objects], label: str, iou: float
) -> float:
    hits: list[tuple[float, bool]] = []
    for boxes, objects in zip(truth, found, strict=True):
        hits += _hits([box for box in boxes if box.label == label], objects, label, iou)
    wanted = sum(box.label == label for boxes in truth for box in boxes)
    hits.sort(key=lambda hit: -hit[0])
    right = np.cumsum([hit for _, hit in hits])
    if not right.size:
        return 0.0
    recall, precision = right / wanted, right / np.arange(1, len(hits) + 1)
    # Precision at a recall is the best at that recall or any higher one.
    best: NDArray[np.float64] = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(recall, _RECALLS)].mean())


def _hits(truth: list[LabelledBox], objects: Objects, label: str, iou: float) -> list[tuple[float, bool]]:
    """Scores of the objects of a label, each with whether it is on a box that no better one has taken."""
    boxes = np.array([box.box for box in truth], np.float32).reshape(-1, 4)
    free, hits = np.ones(len(boxes), bool), []
    for row in (row for row, name in enumerate(objects.labels) if name == label):
        overlaps = iou_with(objects.boxes[row], boxes) * free
        hit = bool(overlaps.size and overlaps.max() >= iou)
        if hit:
            free[int(overlaps.argmax())] = False
        hits.append((float(objects.scores[row]), hit))
    return hits
