"""Which of the objects in a reference picture the product is, where nobody has said so.

    prominence = score * area * centrality

`score` is the detector's confidence. `area` is the box's share of the picture: shops show what they sell large.
`centrality` is 1 for a box in the picture's middle and 0 for one whose centre is in a corner: shops show it in the
middle. The most prominent object is the main one.
"""

from collections.abc import Sequence

from framelens_gateway.geometry import area, centrality
from framelens_gateway.recognizer import WHOLE_PICTURE, Box, FoundObject

# Below this the detector guesses; above it, it is often right about what stands alone before a plain background.
MIN_SCORE = 0.3
# A picture with more objects than this shows no main one that the less certain of them could be.
MAX_OBJECTS = 8
# Of the picture. What is smaller is beside the point, or shows too little of a product to find it by.
_MIN_AREA = 0.02


def main_object(objects: Sequence[FoundObject]) -> Box:
    """The box of the main object, the whole picture where there is none."""
    large = [found for found in objects if area(found.box) >= _MIN_AREA]
    return max(large, key=prominence).box if large else WHOLE_PICTURE


def prominence(found: FoundObject) -> float:
    """From 0 to 1."""
    return found.score * area(found.box) * centrality(found.box)
