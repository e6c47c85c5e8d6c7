"""Frames with a product in them, drawn up front and found again where they say."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from framelens_perf.unnamed.pictures import CutOut, Photograph
from framelens_perf.unnamed.scenes import reference, scene, scenes

GREY = Photograph("grey", "grey-whole", Image.new("RGB", (640, 360), (90, 90, 90)))
DISC = Image.new("RGBA", (120, 200), (255, 0, 0, 255))
GOOD = CutOut("brick", DISC)


def pixels(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int16)


@pytest.mark.parametrize("seed", range(5))
def test_a_product_is_where_its_scene_says(seed: int) -> None:
    made = scene(GOOD, GREY, random.Random(seed))
    red = pixels(made.picture)[:, :, 0] > 160
    rows, columns = np.nonzero(red)
    place = made.place
    found = (columns.min() / 640, rows.min() / 360, (columns.max() + 1) / 640, (rows.max() + 1) / 360)
    assert found == pytest.approx((place.x_min, place.y_min, place.x_max, place.y_max), abs=0.02)
    assert 0 <= place.x_min < place.x_max <= 1
    assert place.y_max - place.y_min <= 0.8 + 1e-6


def test_the_same_seed_draws_the_same_scenes() -> None:
    first, again, other = (scenes([GOOD] * 3, [GREY], seed) for seed in (1, 1, 2))
    assert first == again
    assert [each.place for each in first] != [each.place for each in other]


def test_a_reference_shows_the_product_on_white() -> None:
    encoded, region = reference(GOOD)
    picture = pixels(encoded)
    height, width, _ = picture.shape
    assert picture[0, 0].min() > 240
    inside = picture[
        round(region.y_min * height) + 2 : round(region.y_max * height) - 2,
        round(region.x_min * width) + 2 : round(region.x_max * width) - 2,
    ]
    assert inside.shape[0] >= 190
    assert inside[:, :, 1].max() < 60
