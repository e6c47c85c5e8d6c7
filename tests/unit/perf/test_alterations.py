"""Alterations change what they say and nothing else."""

import io

import pytest
from PIL import Image

from framelens_perf.alterations import ALTERATIONS, cropped, encoded, flipped, phone_frame


@pytest.fixture
def picture() -> Image.Image:
    gradient = Image.linear_gradient("L").resize((300, 200))
    return Image.merge("RGB", (gradient, gradient.transpose(Image.Transpose.FLIP_LEFT_RIGHT), gradient))


def test_a_crop_keeps_four_fifths_of_each_side(picture: Image.Image) -> None:
    assert cropped(picture).size == (240, 160)


def test_flipping_twice_changes_nothing(picture: Image.Image) -> None:
    assert flipped(flipped(picture)).tobytes() == picture.tobytes()


def test_a_phone_frame_is_upright_and_holds_the_whole_picture(picture: Image.Image) -> None:
    frame = phone_frame(picture)
    assert frame.size == (720, 1280)
    assert frame.getpixel((360, 10)) == (16, 16, 16)
    assert frame.getpixel((360, 640)) != (16, 16, 16)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_every_alteration_leaves_a_picture(picture: Image.Image, name: str) -> None:
    with Image.open(io.BytesIO(encoded(ALTERATIONS[name](picture)))) as altered:
        assert altered.format == "JPEG"
        assert min(altered.size) >= 100
