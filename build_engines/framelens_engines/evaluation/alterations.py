"""Alters pictures as the way from a shop's photo to a feed video does; always in the same way."""

import io
from collections.abc import Callable

from PIL import Image, ImageEnhance, ImageOps

Alteration = Callable[[Image.Image], Image.Image]

# As hard as cheap re-uploads are compressed.
_QUALITY = 30


def _same(picture: Image.Image) -> Image.Image:
    return picture


def _cropped(picture: Image.Image) -> Image.Image:
    """80 % of each side, off the centre."""
    width, height = picture.size
    left, top = round(width * 0.06), round(height * 0.08)
    return picture.crop((left, top, left + round(width * 0.8), top + round(height * 0.8)))


def _relit(picture: Image.Image) -> Image.Image:
    return ImageEnhance.Color(ImageEnhance.Brightness(picture).enhance(1.2)).enhance(0.8)


def _darkened(picture: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(0.6)


def _halved(picture: Image.Image) -> Image.Image:
    return picture.resize((max(16, picture.width // 2), max(16, picture.height // 2)), Image.Resampling.BICUBIC)


ALTERATIONS: dict[str, Alteration] = {
    "recompressed": _same,
    "cropped": _cropped,
    "flipped": ImageOps.mirror,
    "relit": _relit,
    "darkened": _darkened,
    "halved": _halved,
    "cropped-flipped-relit": lambda picture: _relit(ImageOps.mirror(_cropped(picture))),
}


def altered(picture: Image.Image, name: str) -> bytes:
    """The altered picture as a JPEG."""
    buffer = io.BytesIO()
    ALTERATIONS[name](picture).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
