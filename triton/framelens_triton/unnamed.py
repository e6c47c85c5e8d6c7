"""Boxes of what stands out in a frame and that the detector is not sure to have a name for.

It knows few labels and finds more than it can name: among its candidates of a low score, whatever their labels, are
boxes of things of other kinds. Whether such a box shows something that is sought, its embedding tells.
"""

import numpy as np
import numpy.typing as npt

from framelens_triton.images.nms import iou_with, nms

UNNAMED_LABEL = "object"
# Of 124 goods in photographs, the 4 best boxes of these hold 73 % (IoU .5), and 66 % of .05 and any size.
LEAST_SCORE = 0.03
# Of the frame. Smaller ones show parts of things, and would ask for a sharper picture than the named objects need.
LEAST_AREA = 0.01
# Two of them that overlap more than this are one.
IOU = 0.5
# Of one that overlaps a named object more than this, the named object stands for it.
NAMED_IOU = 0.7


def unnamed_candidates(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], named: npt.NDArray[np.intp], most: int
) -> npt.NDArray[np.intp]:
    """Indices of up to `most` boxes that show none of the objects `named` (indices too), best first.

    boxes [n, 4] x_min, y_min, x_max, y_max in 0..1; scores [n].
    """
    if most < 1:
        return np.zeros(0, np.intp)
    left = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) >= LEAST_AREA
    left[named] = False
    for index in named:
        left &= iou_with(boxes[index], boxes) <= NAMED_IOU
    (candidates,) = np.nonzero(left)
    kept = nms(
        boxes[candidates],
        scores[candidates],
        np.zeros(candidates.size, np.int32),
        iou=IOU,
        same_thing_iou=IOU,
        min_score=LEAST_SCORE,
        max_objects=most,
    )
    return candidates[kept]
