"""Crops as a frame of a video would show them: cut, darker or brighter, and compressed again."""

import io
from collections.abc import Callable

from PIL import Image, ImageEnhance

Alteration = Callable[[Image.Image], tuple[Image.Image, int]]


def altered(crop: bytes) -> list[bytes]:
    """A JPEG for each alteration."""
    with Image.open(io.BytesIO(crop)) as opened:
        picture = opened.convert("RGB")
    return [_encoded(*alter(picture)) for alter in ALTERATIONS]


def probe_picture() -> bytes:
    """A small picture that any embedder takes."""
    return _encoded(Image.linear_gradient("L").convert("RGB"), 90)


def _cut(picture: Image.Image) -> tuple[Image.Image, int]:
    width, height = picture.size
    return picture.crop((0, round(height * 0.1), max(1, round(width * 0.85)), height)), 80


def _darker(picture: Image.Image) -> tuple[Image.Image, int]:
    return ImageEnhance.Brightness(picture).enhance(0.7), 60


def _brighter_and_cut(picture: Image.Image) -> tuple[Image.Image, int]:
    width, height = picture.size
    cut = picture.crop((round(width * 0.1), 0, width, max(1, round(height * 0.9))))
    return ImageEnhance.Brightness(cut).enhance(1.25), 30


ALTERATIONS: tuple[Alteration, ...] = (_cut, _darker, _brighter_and_cut)


def _encoded(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
