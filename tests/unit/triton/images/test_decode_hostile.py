"""Decoding what is broken or made to harm: a PictureError, soon and in little memory, and never another exception."""

import random
import struct
import tracemalloc
from collections.abc import Callable

import pytest
from PIL import Image

from framelens_triton.images.decode import Limits, decode
from framelens_triton.images.errors import InvalidPicture, PictureError, PictureTooLarge, UnsupportedFormat

LIMITS = Limits()
# Pillow warns of odd metadata. The module under test silences that, but pytest's own filters come before its.
pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

Encode = Callable[..., bytes]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", InvalidPicture),
        (b"hello", UnsupportedFormat),
        (b"\xff\xd8\xff", InvalidPicture),
        (b"P6 1 1 255 abc", UnsupportedFormat),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedFormat),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", UnsupportedFormat),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, kind: type[PictureError]) -> None:
    with pytest.raises(kind):
        decode(data, LIMITS)


@pytest.mark.parametrize("fmt", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_bomb_is_refused_from_its_header(encode: Encode, fmt: str) -> None:
    data = encode(Image.new("L", (3000, 3000)), fmt)
    tracemalloc.start()
    with pytest.raises(PictureTooLarge, match="3000x3000"):
        decode(data, Limits(max_pixels=1000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def tiff(tags: dict[int, int]) -> bytes:
    """A little-endian TIFF of 32-bit tags and 64 bytes of data after them."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4 + 64)


def test_a_tiff_of_few_pixels_in_a_huge_tile_is_refused() -> None:
    size = {256: 100, 257: 100, 322: 65536, 323: 65536}
    data = tiff(size | {258: 8, 259: 1, 262: 1, 277: 1, 324: 200, 325: 64})
    with pytest.raises(PictureTooLarge, match="65536x65536"):
        decode(data, LIMITS)


def test_too_many_bytes_and_too_few_pixels(encode: Encode) -> None:
    with pytest.raises(PictureTooLarge, match="bytes"):
        decode(bytes(11), Limits(max_bytes=10))
    with pytest.raises(InvalidPicture, match="1x1"):
        decode(encode(Image.new("RGB", (1, 1)), "PNG"), LIMITS)


def with_scans(data: bytes, scans: int) -> bytes:
    """A progressive JPEG with its last scan repeated until it has this many."""
    starts = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    return data[:-2] + data[starts[-1] : -2] * (scans - len(starts)) + data[-2:]


def test_a_jpeg_of_too_many_scans_is_refused(encode: Encode, small: Image.Image) -> None:
    data = encode(small, "JPEG", progressive=True)
    with pytest.raises(InvalidPicture, match="more than 100 scans"):
        decode(with_scans(data, 101), LIMITS)
    assert decode(with_scans(data, 100), LIMITS).pixels.size == small.size


def test_what_follows_a_jpeg_is_not_counted_as_scans(encode: Encode, small: Image.Image) -> None:
    """Phones append a video to a moving picture, and previews hide in metadata."""
    data = encode(small, "JPEG", comment=b"\xff\xda" * 200) + b"\xff\xda\x00\x02" * 200
    assert decode(data, LIMITS).pixels.size == small.size


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_half_a_picture_is_refused(encode: Encode, small: Image.Image, fmt: str) -> None:
    data = encode(small, fmt)
    with pytest.raises(InvalidPicture):
        decode(data[: len(data) // 2], LIMITS)


def test_a_broken_picture_is_refused_in_our_own_words(encode: Encode, small: Image.Image) -> None:
    data = bytearray(encode(small, "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(InvalidPicture, match="^the PNG picture is broken or truncated; send it again or save it anew$"):
        decode(bytes(data), LIMITS)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_broken_bytes_lead_to_a_picture_or_a_picture_error(encode: Encode, small: Image.Image, fmt: str) -> None:
    draw = random.Random(7)
    whole = encode(small.resize((96, 72)), fmt)
    for _ in range(250):
        data = bytearray(whole[: draw.randrange(1, len(whole) + 1)])
        for _ in range(draw.randrange(0, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            found = decode(bytes(data), Limits(max_pixels=10**6))
        except PictureError:
            continue
        assert found.pixels.mode == "RGB"


@pytest.mark.parametrize("count", [0, 1, 40000])
def test_an_odd_number_of_tiff_tags_is_a_picture_error(count: int) -> None:
    with pytest.raises(PictureError):
        decode(b"II*\0" + struct.pack("<IH", 8, count) + bytes(12), LIMITS)
