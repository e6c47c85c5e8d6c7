"""Suppression against a plain reading of its rule."""

import numpy as np
import pytest

from framelens_triton.images.nms import iou_with, nms


def plain(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou: float, same: float, min_score: float, most: int
) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if scores[i] < min_score or len(kept) == most:
            continue
        overlaps = [iou_with(boxes[k], boxes[i : i + 1])[0] > (iou if labels[k] == labels[i] else same) for k in kept]
        if not any(overlaps):
            kept.append(i)
    return kept


@pytest.mark.parametrize("seed", range(20))
def test_it_keeps_what_the_rule_keeps(seed: int) -> None:
    draw = np.random.default_rng(seed)
    corners = draw.random((100, 2), np.float32) * 0.5
    boxes = np.concatenate([corners, corners + draw.random((100, 2), np.float32) * 0.5], axis=1)
    scores, labels = draw.random(100, np.float32), draw.integers(0, 3, 100, np.int32)
    kept = nms(boxes, scores, labels, iou=0.5, same_thing_iou=0.8, min_score=0.2, max_objects=15)
    assert kept.tolist() == plain(boxes, scores, labels, 0.5, 0.8, 0.2, 15)


def test_one_thing_with_two_names_is_one_object() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 0.98, 1]], np.float32)
    kept = nms(
        boxes, np.array([0.6, 0.9], np.float32), np.array([1, 2], np.int32),
        iou=0.6, same_thing_iou=0.8, min_score=0.1, max_objects=8,
    )  # fmt: skip
    assert kept.tolist() == [1]


def test_nothing_comes_from_nothing() -> None:
    empty = np.zeros((0, 4), np.float32)
    kept = nms(
        empty, np.zeros(0, np.float32), np.zeros(0, np.int32), iou=0.6, same_thing_iou=0.8, min_score=0, max_objects=8
    )
    assert kept.size == 0
