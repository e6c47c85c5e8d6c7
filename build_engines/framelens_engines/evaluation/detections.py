"""Objects in evaluation pictures, found by several engines on the same pixels, as recognizer finds them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framelens_engines.errors import ProbeError
from framelens_engines.evaluation.engines import OpenEngine
from framelens_engines.evaluation.pictures import Frame, chunks
from framelens_engines.model_config import DetectorShape
from framelens_engines.tensors import BOXES, LABELS, SCORES, Answer
from framelens_triton.images.decode import Limits, Picture, decode
from framelens_triton.images.nms import iou_with, nms
from framelens_triton.images.resize import Pixels, Placement, frame_to_input
from framelens_triton.recognition import NMS_IOU, SAME_THING_IOU

# Weaker candidates are neither shown nor close to being shown; mean average precision loses nothing to speak of.
_MIN_SCORE = 0.05
_MAX_OBJECTS = 100
_BATCH = 8


@dataclass(frozen=True)
class Objects:
    """What survived NMS in one picture, best first: boxes [n, 4] in 0..1 of the picture, scores [n], labels [n]."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def above(self, score: float) -> "Objects":
        """What NMS would have kept at that score: weaker boxes have no say in what becomes of stronger ones."""
        count = int((self.scores >= score).sum())
        return Objects(self.boxes[:count], self.scores[:count], self.labels[:count])


@dataclass(frozen=True)
class Match:
    """Row `candidate` of one and row `reference` of another picture's objects are one object."""

    reference: int
    candidate: int
    iou: float


@dataclass(frozen=True)
class _Prepared:
    picture: Picture
    pixels: Pixels
    placement: Placement


def find_objects(
    frames: Iterable[Frame], engines: Sequence[OpenEngine], shape: DetectorShape
) -> Iterator[tuple[str, list[Objects]]]:
    """Each frame's name with the objects that each engine finds in it."""
    for chunk in chunks(frames, min(_BATCH, *(engine.max_batch for engine in engines))):
        prepared = [_prepare(frame, shape) for frame in chunk]
        images = np.stack([each.pixels for each in prepared])
        answers = [engine.infer(images) for engine in engines]
        for index, frame in enumerate(chunk):
            yield frame.name, [_objects(prepared[index], answer, index, shape) for answer in answers]


def match(reference: Objects, candidate: Objects, iou: float) -> list[Match]:
    """Greedy, the candidate's best object first: each with the unmatched one of its label that it overlaps most."""
    free = np.ones(len(reference), bool)
    labels = np.array(reference.labels, object)
    matches = []
    for row in range(len(candidate)):
        overlaps = iou_with(candidate.boxes[row], reference.boxes) * (free & (labels == candidate.labels[row]))
        if overlaps.size and overlaps.max() >= iou:
            best = int(overlaps.argmax())
            free[best] = False
            matches.append(Match(best, row, float(overlaps[best])))
    return matches


def _prepare(frame: Frame, shape: DetectorShape) -> _Prepared:
    picture = decode(frame.data, Limits())
    return _Prepared(picture, *frame_to_input(picture.pixels, shape.height, shape.width, shape.fit))


def _objects(prepared: _Prepared, answer: Answer, index: int, shape: DetectorShape) -> Objects:
    """As recognizer's NMS stage; a test compares the two."""
    picture, scores, labels = prepared.picture, answer[SCORES][index], answer[LABELS][index]
    boxes = picture.from_pixels(prepared.placement.to_picture(answer[BOXES][index].astype(np.float32)))
    visible = ((boxes[:, 2] - boxes[:, 0]) * picture.width >= 1) & ((boxes[:, 3] - boxes[:, 1]) * picture.height >= 1)
    boxes, scores, labels = boxes[visible], scores[visible], labels[visible]
    kept = nms(
        boxes,
        scores,
        labels,
        iou=NMS_IOU,
        same_thing_iou=SAME_THING_IOU,
        min_score=_MIN_SCORE,
        max_objects=_MAX_OBJECTS,
    )
    return Objects(boxes[kept], scores[kept], tuple(_label(shape, int(labels[row])) for row in kept))


def _label(shape: DetectorShape, number: int) -> str:
    if not 0 <= number < len(shape.labels):
        raise ProbeError(f"an engine found label {number}; labels.txt has {len(shape.labels)} lines")
    return shape.labels[number]
