"""Resizing: antialiased, exact to a fraction of a pixel, and reversible in its coordinates."""

import numpy as np
import pytest
from PIL import Image

from framelens_triton.images.boxes import Box
from framelens_triton.images.resize import Fit, crop_to_input, cut, frame_to_input


@pytest.fixture(scope="module")
def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 500, 3), np.uint8))


def test_a_fine_pattern_goes_grey_not_aliased() -> None:
    board = Image.fromarray(((np.indices((512, 512)).sum(axis=0) % 2) * 255).astype(np.uint8)).convert("RGB")
    small, _ = frame_to_input(board, 100, 100, Fit.STRETCH)
    assert np.abs(small.astype(np.int16) - 127).max() < 25


def test_it_is_close_to_a_bicubic_reference(noise: Image.Image) -> None:
    smooth = noise.resize((50, 30)).resize((500, 300), Image.Resampling.BICUBIC)
    ours, _ = frame_to_input(smooth, 224, 224, Fit.STRETCH)
    reference = np.asarray(smooth.resize((224, 224), Image.Resampling.BICUBIC))
    assert np.abs(ours.astype(np.int16) - reference).mean() < 2


@pytest.mark.parametrize("size", [(500, 300), (300, 500), (400, 400), (1000, 20)])
def test_boxes_come_back_through_a_letterbox(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size)
    _, placement = frame_to_input(picture, 640, 640, Fit.LETTERBOX)
    box = np.array([[0.1, 0.2, 0.7, 0.9]], np.float32)
    x, y, width, height = placement.x, placement.y, placement.width, placement.height
    there = box * [width, height, width, height] + [x, y, x, y]
    np.testing.assert_allclose(placement.to_picture(there.astype(np.float32)), box, atol=1e-5)


def test_a_letterbox_pads_with_grey() -> None:
    pixels, _ = frame_to_input(Image.new("RGB", (200, 100), "red"), 64, 64, Fit.LETTERBOX)
    assert tuple(pixels[0, 0]) == (114, 114, 114)
    assert tuple(pixels[32, 32]) == (255, 0, 0)


def test_a_crop_is_the_box_alone() -> None:
    picture = Image.new("RGB", (100, 100), "red")
    picture.paste("blue", (25, 25, 75, 75))
    pixels = crop_to_input(picture, Box(0.25, 0.25, 0.75, 0.75), 32, 32, Fit.STRETCH)
    assert (pixels == (0, 0, 255)).all()


def test_a_crop_moves_with_fractions_of_a_pixel(noise: Image.Image) -> None:
    one = crop_to_input(noise, Box(0.1, 0.1, 0.5, 0.5), 64, 64, Fit.STRETCH)
    other = crop_to_input(noise, Box(0.1005, 0.1, 0.5005, 0.5), 64, 64, Fit.STRETCH)
    assert (one != other).any()


def test_a_cut_keeps_its_resolution_up_to_the_limit(noise: Image.Image) -> None:
    assert cut(noise, Box(0.0, 0.0, 0.5, 1.0)).size == (250, 300)
    assert cut(noise, Box(0.0, 0.0, 0.5, 1.0), 150).size == (125, 150)
