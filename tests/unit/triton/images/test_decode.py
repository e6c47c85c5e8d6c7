"""Decoding: as displayed, checked before a pixel is touched, and never an exception but PictureError."""

import io
import random
import tracemalloc
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import Limits, decode
from framelens_triton.images.errors import InvalidPicture, PictureError, PictureTooLarge, UnsupportedFormat

LIMITS = Limits()


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    """Every corner has its own colour, so that a turned picture shows."""
    picture = Image.new("RGB", (640, 480), "grey")
    for at, colour in (((0, 0), "red"), ((320, 0), "lime"), ((0, 240), "blue"), ((320, 240), "yellow")):
        picture.paste(colour, (*at, at[0] + 320, at[1] + 240))
    return picture


def encoded(picture: Image.Image, fmt: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, fmt, **options)
    return buffer.getvalue()


def corner(picture: Image.Image) -> tuple[int, ...]:
    return tuple(int(v) for v in np.asarray(picture)[5, 5])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
def test_every_orientation_is_shown_upright(scene: Image.Image, orientation: int, fmt: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(scene, fmt, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    found = decode(data, LIMITS)
    assert (found.width, found.height) == upright.size
    small = upright.resize(found.pixels.size)
    assert np.abs(np.asarray(found.pixels, np.int16) - np.asarray(small, np.int16)).mean() < 4


@pytest.mark.parametrize("size", [(1280, 720), (4000, 3000), (300, 300), (320, 5000)])
def test_a_jpeg_keeps_enough_pixels_for_the_detector(size: tuple[int, int]) -> None:
    found = decode(encoded(Image.new("RGB", size), "JPEG"), LIMITS)
    assert (found.width, found.height) == size
    assert min(found.pixels.size) >= min(320, *size)
    assert min(found.pixels.size) < 640 or min(size) < 640


def test_a_region_keeps_enough_pixels_for_the_embedder() -> None:
    data = encoded(Image.new("RGB", (4000, 3000)), "JPEG")
    region = Box(0.5, 0.5, 0.6, 0.6)
    found = decode(data, LIMITS, [region])
    assert min(region.width * found.pixels.width, region.height * found.pixels.height) >= 224


@pytest.mark.parametrize(
    ("mode", "fmt"),
    [("L", "JPEG"), ("CMYK", "JPEG"), ("1", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("CMYK", "TIFF")],
)
def test_every_mode_becomes_rgb(scene: Image.Image, mode: str, fmt: str) -> None:
    assert decode(encoded(scene.convert(mode), fmt), LIMITS).pixels.mode == "RGB"


def test_cmyk_keeps_its_colours(scene: Image.Image) -> None:
    red = decode(encoded(scene.convert("CMYK"), "JPEG", quality=95), LIMITS).pixels
    assert np.abs(np.array(corner(red)) - (255, 0, 0)).max() < 40


def test_transparency_is_shown_over_white() -> None:
    clear = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    assert corner(decode(encoded(clear, "PNG"), LIMITS).pixels) == (255, 255, 255)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    wide = Image.fromarray(np.full((32, 32), 0x8000, np.uint16))
    assert corner(decode(encoded(wide, "PNG"), LIMITS).pixels) == (0x80,) * 3


def test_the_first_frame_of_an_animation_is_shown(scene: Image.Image) -> None:
    other = Image.new("RGB", scene.size, "black")
    for fmt in ("GIF", "WEBP", "PNG"):
        data = encoded(scene, fmt, save_all=True, append_images=[other])
        assert corner(decode(data, LIMITS).pixels)[0] > 200


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", InvalidPicture),
        (b"hello", UnsupportedFormat),
        (b"\xff\xd8\xff", InvalidPicture),
        (b"P6 1 1 255 abc", UnsupportedFormat),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, kind: type[PictureError]) -> None:
    with pytest.raises(kind):
        decode(data, LIMITS)


@pytest.mark.parametrize("fmt", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_bomb_is_refused_from_its_header(fmt: str) -> None:
    limits = Limits(max_pixels=1000)
    data = encoded(Image.new("L", (3000, 3000)), fmt)
    tracemalloc.start()
    with pytest.raises(PictureTooLarge, match="3000x3000"):
        decode(data, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_too_many_bytes_and_too_few_pixels() -> None:
    with pytest.raises(PictureTooLarge, match="bytes"):
        decode(bytes(11), Limits(max_bytes=10))
    with pytest.raises(InvalidPicture, match="1x1"):
        decode(encoded(Image.new("RGB", (1, 1)), "PNG"), LIMITS)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_broken_bytes_lead_to_a_picture_or_a_picture_error(scene: Image.Image, fmt: str) -> None:
    draw = random.Random(7)
    whole = encoded(scene.resize((96, 72)), fmt)
    for _ in range(250):
        data = bytearray(whole[: draw.randrange(1, len(whole) + 1)])
        for _ in range(draw.randrange(0, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        with warnings.catch_warnings():
            # Pillow warns of odd metadata; what counts here is what escapes.
            warnings.simplefilter("ignore")
            try:
                found = decode(bytes(data), Limits(max_pixels=10**6))
            except PictureError:
                continue
        assert found.pixels.mode == "RGB"
