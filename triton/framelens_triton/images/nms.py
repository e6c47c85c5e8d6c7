"""Non-maximum suppression on the few candidates that leave a detector engine."""

import numpy as np
import numpy.typing as npt


def nms(
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int32],
    *,
    iou: float,
    same_thing_iou: float,
    min_score: float,
    max_objects: int,
) -> npt.NDArray[np.intp]:
    """Indices of the boxes to keep, best first.

    Greedy within each label above `iou`, and whatever the labels above `same_thing_iou`: a cup that is also called a
    bowl is one object. boxes [n, 4] x_min, y_min, x_max, y_max; scores [n]; labels [n].
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= min_score]
    kept: list[int] = []
    while order.size and len(kept) < max_objects:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        limit = np.where(labels[rest] == labels[best], iou, same_thing_iou)
        order = rest[iou_with(boxes[best], boxes[rest]) <= limit]
    return np.array(kept, np.intp)


def iou_with(box: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Intersection over union of one box [4] with each of boxes [n, 4]."""
    extent = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0)
    shared = extent[:, 0] * extent[:, 1]
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.asarray(shared / np.maximum(area + areas - shared, 1e-12), np.float32)
