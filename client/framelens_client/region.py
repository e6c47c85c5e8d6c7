"""A region as a person writes it: X1,Y1,X2,Y2."""

import re

from framelens_client.results import Box


def parse_region(text: str) -> Box:
    """Four numbers from 0 to 1, separated by commas or spaces: left, top, right, bottom. Raises ValueError."""
    try:
        corners = [float(number) for number in re.split(r"[,\s]+", text.strip())]
        x_min, y_min, x_max, y_max = corners
    except ValueError:
        raise ValueError(f"region {text!r} is not four numbers X1,Y1,X2,Y2") from None
    if not all(0.0 <= corner <= 1.0 for corner in corners):
        raise ValueError(f"region {text!r} lies outside the picture: each number is from 0 to 1")
    if x_min >= x_max or y_min >= y_max:
        raise ValueError(f"region {text!r} is empty or inverted: X1 must be below X2, and Y1 below Y2")
    return Box(x_min, y_min, x_max, y_max)
