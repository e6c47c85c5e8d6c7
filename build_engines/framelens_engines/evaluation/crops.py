"""Crops of the evaluation pictures, as they are indexed, and altered as they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass

from framelens_engines.evaluation.alterations import ALTERATIONS, altered
from framelens_engines.evaluation.pictures import WHOLE, EvaluationPictures, Frame, full_size
from framelens_engines.model_config import EmbedderShape
from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import Limits, decode
from framelens_triton.images.resize import Pixels, crop_to_input, cut

# The whole and its quarters: five things to tell apart in each picture, of which four share no pixel.
_REGIONS = {
    "whole": WHOLE,
    "top-left": Box(0.0, 0.0, 0.5, 0.5),
    "top-right": Box(0.5, 0.0, 1.0, 0.5),
    "bottom-left": Box(0.0, 0.5, 0.5, 1.0),
    "bottom-right": Box(0.5, 0.5, 1.0, 1.0),
}
# A crop of fewer pixels a side is of nothing that could be recognised, and altered it would be too small to decode.
_MIN_SIDE = 64
# Over this a crop is reduced before it is altered: a feed has no larger frames.
_MAX_SIDE = 1280


@dataclass(frozen=True)
class Crop:
    """An embedder's input. `item` is the number of what it shows; once `indexed`, and altered several times."""

    name: str
    item: int
    indexed: bool
    pixels: Pixels


def evaluation_crops(pictures: EvaluationPictures, shape: EmbedderShape) -> Iterator[Crop]:
    """Each region of each original, and behind it its altered copies."""
    item = 0
    for original in pictures.originals:
        picture = full_size(original)
        for region_name, region in _REGIONS.items():
            if region is not WHOLE and min(picture.size) * region.width < _MIN_SIDE:
                continue
            name = f"{original.name}/{region_name}"
            yield Crop(name, item, True, crop_input(original, region, shape))
            pixels = cut(picture, region, _MAX_SIDE)
            for alteration in ALTERATIONS:
                query = Frame(f"{name}/{alteration}", altered(pixels, alteration))
                yield Crop(query.name, item, False, crop_input(query, WHOLE, shape))
            item += 1


def crop_input(frame: Frame, region: Box, shape: EmbedderShape) -> Pixels:
    """As recognizer makes it of a region that was asked for."""
    picture = decode(frame.data, Limits(), [region])
    return crop_to_input(picture.pixels, picture.in_pixels(region), shape.height, shape.width, shape.fit)
