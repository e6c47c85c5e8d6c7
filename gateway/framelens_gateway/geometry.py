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
    shared = _shared(box, other)
    return shared / (area(box) + area(other) - shared)


def coverage(box: Box, other: Box) -> float:
    """The share of the smaller one that the other covers."""
    return _shared(box, other) / min(area(box), area(other))


def separation(box: Box, other: Box) -> float:
    """How far their centres are apart, in units of their mean diagonal."""
    (x, y), (to_x, to_y) = center(box), center(other)
    return math.hypot(to_x - x, to_y - y) / ((math.hypot(*size(box)) + math.hypot(*size(other))) / 2)


def growth(box: Box, other: Box) -> float:
    """How much the larger one is longer and wider than the other: 0 for not at all, log 2 for twice."""
    return abs(math.log(area(box) / area(other))) / 2


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


def _shared(box: Box, other: Box) -> float:
    """The area that both cover."""
    width = min(box.x_max, other.x_max) - max(box.x_min, other.x_min)
    height = min(box.y_max, other.y_max) - max(box.y_min, other.y_min)
    return width * height if width > 0 and height > 0 else 0.0
