"""Regions: inside the picture, and of at least a pixel."""

import math

import pytest

from framelens_triton.images.boxes import Box, checked_region
from framelens_triton.images.errors import InvalidRegion


@pytest.mark.parametrize(
    "region",
    [
        Box(math.nan, 0, 1, 1),
        Box(0, 0, math.inf, 1),
        Box(-0.01, 0, 1, 1),
        Box(0, 0, 1, 1.01),
        Box(0.5, 0, 0.5, 1),
        Box(0.6, 0, 0.4, 1),
        Box(0.5, 0.5, 0.505, 0.6),
    ],
)
def test_a_wrong_region_is_refused(region: Box) -> None:
    with pytest.raises(InvalidRegion, match="region"):
        checked_region(region, 100, 100)


def test_a_sound_region_is_kept_as_it_is() -> None:
    region = Box(0.0, 0.25, 1.0, 0.75)
    assert checked_region(region, 100, 100) == region
