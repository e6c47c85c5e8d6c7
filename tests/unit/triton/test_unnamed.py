"""Which boxes are taken for things without a name."""

import numpy as np
import pytest

from framelens_triton.images.nms import iou_with
from framelens_triton.unnamed import IOU, LEAST_AREA, LEAST_SCORE, NAMED_IOU, unnamed_candidates

BOXES = np.array(
    [
        [0.0, 0.0, 0.4, 0.4],  # Named.
        [0.0, 0.0, 0.4, 0.38],  # The same thing again.
        [0.5, 0.5, 0.9, 0.9],
        [0.5, 0.5, 0.9, 0.85],  # The one before again.
        [0.1, 0.6, 0.3, 0.8],
    ],
    np.float32,
)
NAMED = np.array([0], np.intp)


def test_neither_what_has_a_name_nor_one_thing_twice() -> None:
    scores = np.array([0.9, 0.4, 0.1, 0.2, 0.06], np.float32)
    assert unnamed_candidates(BOXES, scores, NAMED, 10).tolist() == [3, 4]


def test_no_more_than_asked_for_the_best_first() -> None:
    scores = np.array([0.9, 0.4, 0.1, 0.2, 0.3], np.float32)
    assert unnamed_candidates(BOXES, scores, NAMED, 1).tolist() == [4]
    assert unnamed_candidates(BOXES, scores, NAMED, 0).size == 0


def test_noise_is_left_out() -> None:
    scores = np.array([0.9, 0.02, 0.02, 0.04, 0.01], np.float32)
    assert unnamed_candidates(BOXES, scores, NAMED, 10).tolist() == [3]


def test_what_is_tiny_is_left_out() -> None:
    side = LEAST_AREA**0.5
    boxes = np.array([[0, 0, side * 0.98, side], [0.5, 0.5, 0.5 + side * 1.02, 0.5 + side]], np.float32)
    assert unnamed_candidates(boxes, np.full(2, 0.3, np.float32), np.zeros(0, np.intp), 10).tolist() == [1]


def test_without_any_candidate_there_is_none() -> None:
    none = np.zeros(0, np.intp)
    assert unnamed_candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), none, 10).size == 0


@pytest.mark.parametrize("seed", range(10))
def test_they_differ_from_each_other_and_from_the_named(seed: int) -> None:
    draw = np.random.default_rng(seed)
    corners = draw.random((100, 2), np.float32) * 0.4
    boxes = np.concatenate([corners, corners + 0.2 + draw.random((100, 2), np.float32) * 0.4], axis=1)
    scores = draw.random(100, np.float32)
    named = np.argsort(-scores)[:2]
    found = unnamed_candidates(boxes, scores, named, 6)
    assert (np.diff(scores[found]) <= 0).all()
    assert (scores[found] >= LEAST_SCORE).all()
    for at, index in enumerate(found):
        assert (iou_with(boxes[index], boxes[named]) <= NAMED_IOU).all()
        assert (iou_with(boxes[index], boxes[found[:at]]) <= IOU).all()
