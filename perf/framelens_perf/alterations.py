"""Alters pictures as the way from a shop's photo to a feed video does: cropped, flipped, re-compressed, scaled."""

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

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
    scale = min(_PHONE_WIDTH / picture.width, _PHONE_HEIGHT / picture.height)
    size = round(picture.width * scale), round(picture.height * scale)
    frame = Image.new("RGB", (_PHONE_WIDTH, _PHONE_HEIGHT), (16, 16, 16))
    frame.paste(
        picture.resize(size, Image.Resampling.BICUBIC), ((_PHONE_WIDTH - size[0]) // 2, (_PHONE_HEIGHT - size[1]) // 2)
    )
    return frame


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
