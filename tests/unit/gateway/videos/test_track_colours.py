"""What is dressed alike is alike, whatever is beside it; another dress is not."""

import numpy as np
import pytest
from PIL import Image

from framelens_gateway.recognizer import Box
from framelens_gateway.videos.decoding.display import small_lab
from framelens_gateway.videos.track_colours import Colours, colours, unlikeness

BOX = Box(0.4, 0.2, 0.5, 0.8)
EMPTY, STILL = np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.float32)


def dressed(jacket: str, trousers: str, behind: str = "grey", box: Box = BOX, size: int = 256) -> Colours:
    picture = Image.new("RGB", (size, size), behind)
    x_min, y_min, x_max, y_max = (round(size * side) for side in box)
    waist = (y_min + y_max) // 2
    picture.paste(jacket, (x_min, y_min, x_max, waist))
    picture.paste(trousers, (x_min, waist, x_max, y_max))
    small = small_lab(picture)
    found = colours(small, np.ones(small.shape[:2], np.float32), box)
    assert found is not None
    return found


def test_what_stands_still_in_front_counts_little() -> None:
    one = dressed("darkred", "navy")
    picture = Image.new("RGB", (256, 256), "grey")
    picture.paste("darkred", (102, 51, 128, 128))
    picture.paste("navy", (102, 128, 128, 205))
    picture.paste("teal", (102, 0, 116, 256))
    moving = np.ones((256, 256), np.float32)
    everything = colours(small_lab(picture), moving, BOX)
    moving[:, 102:116] = 0
    assert unlikeness(one, colours(small_lab(picture), moving, BOX), 9) < min(-3, unlikeness(one, everything, 9) - 2)


def test_the_same_dress_is_alike_anywhere_and_at_any_size() -> None:
    one = dressed("darkred", "navy")
    assert float(one @ one) == pytest.approx(1, abs=1e-5)
    assert unlikeness(one, dressed("darkred", "navy", "white"), 9) < -4
    assert unlikeness(one, dressed("darkred", "navy", box=Box(0.1, 0.4, 0.15, 0.7)), 9) < -4
    assert unlikeness(one, dressed("darkred", "navy", size=1024), 9) < -4


def test_another_dress_is_not_and_it_matters_what_is_on_top() -> None:
    one = dressed("darkred", "navy")
    assert unlikeness(one, dressed("black", "white"), 9) > 4
    assert unlikeness(one, dressed("navy", "darkred"), 9) > 2


def test_a_little_more_light_changes_little() -> None:
    assert unlikeness(dressed("#602020", "#202060"), dressed("#682424", "#242468"), 9) < -2


def test_of_too_few_pixels_nothing_is_known() -> None:
    assert colours(EMPTY, STILL, Box(0.1, 0.1, 0.9, 0.2)) is None
    assert colours(EMPTY, STILL, Box(0.99, 0.1, 1.0, 0.9)) is None
    assert unlikeness(None, dressed("darkred", "navy"), 9) == 0
