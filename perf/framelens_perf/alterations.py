"""Alters pictures as the way from a shop's photo to a feed video does: cropped, flipped, re-compressed, scaled."""

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

from framelens_client import Box

Alteration = Callable[[Image.Image], Image.Image]

_PHONE_WIDTH, _PHONE_HEIGHT = 720, 1280
_QUALITY = 30


def cropped(picture: Image.Image) -> Image.Image:
    """80 % of each side, off the centre."""
    width, height = picture.size
    left, top = round(width * 0.06), round(height * 0.08)
    return picture.crop((left, top, left + round(width * 0.8), top + round(height * 0.8)))


def flipped(picture: Image.Image) -> Image.Image:
    return ImageOps.mirror(picture)


def relit(picture: Image.Image) -> Image.Image:
    return ImageEnhance.Color(ImageEnhance.Brightness(picture).enhance(1.2)).enhance(0.8)


def phone_frame(picture: Image.Image) -> Image.Image:
    """The picture across an upright 720 x 1280 frame, dark above and below, as feeds show a landscape clip."""
    left, top, right, bottom = _phone_place(picture)
    frame = Image.new("RGB", (_PHONE_WIDTH, _PHONE_HEIGHT), (16, 16, 16))
    frame.paste(picture.resize((right - left, bottom - top), Image.Resampling.BICUBIC), (left, top))
    return frame


def phone_region(picture: Image.Image) -> Box:
    """Where `phone_frame` shows the picture."""
    left, top, right, bottom = _phone_place(picture)
    return Box(left / _PHONE_WIDTH, top / _PHONE_HEIGHT, right / _PHONE_WIDTH, bottom / _PHONE_HEIGHT)


def _phone_place(picture: Image.Image) -> tuple[int, int, int, int]:
    scale = min(_PHONE_WIDTH / picture.width, _PHONE_HEIGHT / picture.height)
    width, height = round(picture.width * scale), round(picture.height * scale)
    left, top = (_PHONE_WIDTH - width) // 2, (_PHONE_HEIGHT - height) // 2
    return left, top, left + width, top + height


def unaltered(picture: Image.Image) -> Image.Image:
    return picture


ALTERATIONS: dict[str, Alteration] = {
    "recompressed": unaltered,
    "cropped": cropped,
    "flipped": flipped,
    "relit": relit,
    "scaled": lambda picture: picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BICUBIC),
    "cropped-flipped-relit": lambda picture: relit(flipped(cropped(picture))),
}


def altered_jpeg(path: Path, *alterations: Alteration) -> bytes:
    """A picture of the disk, altered and compressed."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    for alter in alterations:
        picture = alter(picture)
    return encoded(picture)


def encoded(picture: Image.Image) -> bytes:
    """JPEG, compressed as hard as cheap re-uploads are."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
