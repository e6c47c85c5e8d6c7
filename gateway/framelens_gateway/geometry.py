"""Boxes: how large, how far apart, how alike, where one is on its way to. The contract's are boxes too."""

import math
from typing import Protocol

from framelens_gateway.recognizer import Box


class AnyBox(Protocol):
    """x_min, y_min, x_max, y_max in 0..1 of a picture."""

    @property
    def x_min(self) -> float: ...

    @property
    def y_min(self) -> float: ...

    @property
    def x_max(self) -> float: ...

    @property
    def y_max(self) -> float: ...


def center(box: AnyBox) -> tuple[float, float]:
    return (box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2


def size(box: AnyBox) -> tuple[float, float]:
    """Width and height."""
    return box.x_max - box.x_min, box.y_max - box.y_min


def area(box: AnyBox) -> float:
    width, height = size(box)
    return width * height


def shared_area(box: AnyBox, other: AnyBox) -> float:
    """The area that both cover."""
    width = min(box.x_max, other.x_max) - max(box.x_min, other.x_min)
    height = min(box.y_max, other.y_max) - max(box.y_min, other.y_min)
    return width * height if width > 0 and height > 0 else 0.0


def overlap(box: AnyBox, other: AnyBox) -> float:
    """Intersection over union; 0 where both are empty."""
    shared = shared_area(box, other)
    union = area(box) + area(other) - shared
    return shared / union if union > 0 else 0.0


def coverage(box: AnyBox, other: AnyBox) -> float:
    """The share of the smaller one that the other covers."""
    return shared_area(box, other) / min(area(box), area(other))


def separation(box: AnyBox, other: AnyBox) -> float:
    """How far their centres are apart, in units of their mean diagonal."""
    (x, y), (to_x, to_y) = center(box), center(other)
    return math.hypot(to_x - x, to_y - y) / ((math.hypot(*size(box)) + math.hypot(*size(other))) / 2)


def growth(box: AnyBox, other: AnyBox) -> float:
    """How much the larger one is longer and wider than the other: 0 for not at all, log 2 for twice."""
    return abs(math.log(area(box) / area(other))) / 2


def centrality(box: AnyBox) -> float:
    """1 for a box around the middle of the frame, 0 for one in a corner."""
    x, y = center(box)
    return 1 - math.hypot(x - 0.5, y - 0.5) / math.hypot(0.5, 0.5)


def moved(box: Box, x: float, y: float) -> Box:
    """The same box elsewhere; it may lie outside the frame."""
    return Box(box.x_min + x, box.y_min + y, box.x_max + x, box.y_max + y)


def between(first: AnyBox, second: AnyBox, share: float) -> Box:
    """The box at a share of the way from one to the other."""
    return Box(*(getattr(first, name) + (getattr(second, name) - getattr(first, name)) * share for name in Box._fields))
