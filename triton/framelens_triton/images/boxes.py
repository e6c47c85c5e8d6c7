"""Boxes: normalised to 0..1 of a picture as displayed."""

import math
from typing import NamedTuple

from framelens_triton.images.errors import InvalidRegion


class Box(NamedTuple):
    """x_min, y_min, x_max, y_max in 0..1."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    @property
    def width(self) -> float:
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        return self.y_max - self.y_min


def checked_region(region: Box, width: int, height: int) -> Box:
    """The same region, if it lies inside a picture of `width` x `height` pixels and covers at least one of them.

    Raises InvalidRegion.
    """
    shown = ", ".join(f"{value:g}" for value in region)
    if not all(math.isfinite(value) for value in region):
        raise InvalidRegion(f"region ({shown}) is not finite; give x_min, y_min, x_max, y_max in 0..1")
    if min(region) < 0 or max(region) > 1:
        raise InvalidRegion(f"region ({shown}) is outside the picture; coordinates are in 0..1")
    if region.width <= 0 or region.height <= 0:
        raise InvalidRegion(f"region ({shown}) is empty or inverted; x_min < x_max and y_min < y_max are needed")
    if region.width * width < 1 or region.height * height < 1:
        raise InvalidRegion(f"region ({shown}) covers less than one of {width}x{height} pixels; draw a larger one")
    return region
