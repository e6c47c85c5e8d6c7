"""Boxes of one frame and the next: how far apart, how alike, where one is on its way to."""

import math

from framelens_gateway.recognizer import Box


def center(box: Box) -> tuple[float, float]:
    return (box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2


def size(box: Box) -> tuple[float, float]:
    """Width and height."""
    return box.x_max - box.x_min, box.y_max - box.y_min


def area(box: Box) -> float:
    width, height = size(box)
    return width * height


def overlap(box: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(box.x_max, other.x_max) - max(box.x_min, other.x_min)
    height = min(box.y_max, other.y_max) - max(box.y_min, other.y_min)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (area(box) + area(other) - shared)


def centrality(box: Box) -> float:
    """1 for a box around the middle of the frame, 0 for one in a corner."""
    x, y = center(box)
    return 1 - math.hypot(x - 0.5, y - 0.5) / math.hypot(0.5, 0.5)


def moved(box: Box, x: float, y: float) -> Box:
    """The same box elsewhere; it may lie outside the frame."""
    return Box(box.x_min + x, box.y_min + y, box.x_max + x, box.y_max + y)


def between(first: Box, second: Box, share: float) -> Box:
    """The box at a share of the way from one to the other."""
    return Box(*(a + (b - a) * share for a, b in zip(first, second, strict=True)))
