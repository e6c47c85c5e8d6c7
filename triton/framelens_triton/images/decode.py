"""Decodes a picture to RGB as displayed, no larger than needed and never before its header was checked."""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from framelens_triton.images.boxes import Box
from framelens_triton.images.errors import InvalidPicture, PictureTooLarge, UnsupportedFormat

# Limits below check the header's pixel count for every format; Pillow's own guess would only warn.
Image.MAX_IMAGE_PIXELS = None

# JPEG includes MPO, which many phones write: a JPEG with a preview behind it.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_FORMAT_NAMES = "JPEG, PNG, WebP, GIF, BMP or TIFF"
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_ORIENTATION_TAG = 0x0112
# libjpeg decodes at these fractions by leaving out DCT coefficients.
_JPEG_SCALES = (8, 4, 2)
# The shorter side a detector frame keeps, and the one a region keeps: a little over the engines' inputs.
_FRAME_SIDE = 320
_REGION_SIDE = 224
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, TypeError)


@dataclass(frozen=True)
class Limits:
    """What is refused before a pixel is decoded."""

    max_bytes: int = 20 * 2**20
    max_pixels: int = 50_000_000
    min_side: int = 16


@dataclass(frozen=True)
class Picture:
    """RGB pixels as displayed, perhaps at a fraction of the full size, which is `width` x `height`."""

    pixels: Image.Image
    width: int
    height: int


def decode(data: bytes, limits: Limits, regions: Sequence[Box] | None = None) -> Picture:
    """Decodes the first frame of an encoded picture, orientation applied, transparency over white.

    A JPEG is decoded at a fraction of its size where frame and regions keep enough pixels for the engines.
    Raises PictureError.
    """
    image = _open(data, limits)
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
        width, height = _displayed_size(image.size, orientation)
        scale = _scale(width, height, regions)
        if scale > 1:
            image.draft(None, (image.width // scale, image.height // scale))
        image.load()
        upright = ImageOps.exif_transpose(image) if orientation != 1 else image
        return Picture(_to_rgb(upright), width, height)
    except MemoryError as error:
        raise PictureTooLarge(f"a picture of {image.width}x{image.height} pixels does not fit into memory") from error
    except _BROKEN as error:
        raise InvalidPicture(f"the {image.format} picture is broken or truncated: {error}") from error


def _open(data: bytes, limits: Limits) -> Image.Image:
    if not data:
        raise InvalidPicture("the picture is empty (0 bytes); send an encoded picture")
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(f"the picture has {len(data)} bytes; the limit is {limits.max_bytes}")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        if data.startswith(_MAGIC):
            raise InvalidPicture("the picture's header is broken or truncated") from error
        raise UnsupportedFormat(f"the data is not a picture in {_FORMAT_NAMES}") from error
    except _BROKEN as error:
        raise InvalidPicture(f"the picture's header is broken: {error}") from error
    _check_size(image.width, image.height, limits)
    return image


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise PictureTooLarge(
            f"the picture has {width}x{height} = {width * height} pixels; the limit is {limits.max_pixels}"
        )
    if min(width, height) < limits.min_side:
        raise InvalidPicture(
            f"the picture is {width}x{height} pixels; at least {limits.min_side} are needed on each side"
        )


def _displayed_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """EXIF orientations 5 to 8 turn the picture by a quarter."""
    width, height = size
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def _scale(width: int, height: int, regions: Sequence[Box] | None) -> int:
    """The largest fraction at which every part that is looked at keeps enough pixels."""
    if regions is None:
        room = min(width, height) / _FRAME_SIDE
    else:
        room = min((min(r.width * width, r.height * height) for r in regions), default=1) / _REGION_SIDE
    return next((scale for scale in _JPEG_SCALES if scale <= room), 1)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode in ("I", "I;16", "I;16L", "I;16B", "I;16N"):
        wide = np.asarray(image, dtype=np.int64)
        return Image.fromarray((wide >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UnsupportedFormat("the picture has floating-point pixels; send 8 or 16 bits a channel")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _over_white(image.convert("RGBA"))
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")
