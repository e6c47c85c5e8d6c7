"""Upright frames of 720 x 1280, as feed videos have them, with one to three things in each."""

import io
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

WIDTH, HEIGHT = 720, 1280
_QUALITY = 80
# What the default detector finds things in, and what else a frame may show above or below.
_SUBJECTS = ("coffee.png", "motorcycle_left.png", "motorcycle_right.png", "chelsea.png", "astronaut.png")
_BACKGROUNDS = ("rocket.jpg", "camera.png", "brick.png", "gravel.png", "retina.jpg")


def feed_frames(pictures: Path, count: int, seed: int = 0) -> list[bytes]:
    """`count` different JPEGs, the same for the same seed: pictures stacked, cropped, mirrored and lit at random."""
    draw = random.Random(seed)  # noqa: S311 - the same in every run
    subjects, backgrounds = (_opened(pictures, names) for names in (_SUBJECTS, _BACKGROUNDS))
    return [_jpeg(_frame(draw, subjects, backgrounds)) for _ in range(count)]


def _opened(pictures: Path, names: Sequence[str]) -> list[Image.Image]:
    return [Image.open(pictures / name).convert("RGB") for name in names]


def _frame(draw: random.Random, subjects: Sequence[Image.Image], backgrounds: Sequence[Image.Image]) -> Image.Image:
    split = round(HEIGHT * draw.uniform(0.45, 0.6))
    upper = draw.choice(subjects)
    lower = draw.choice([*subjects, *backgrounds])
    frame = Image.new("RGB", (WIDTH, HEIGHT))
    frame.paste(_part(draw, upper, split), (0, 0))
    frame.paste(_part(draw, lower, HEIGHT - split), (0, split))
    return frame


def _part(draw: random.Random, picture: Image.Image, height: int) -> Image.Image:
    """A little of its edge left out, so that no two frames are the same."""
    left, top, right, bottom = (draw.uniform(0, 0.08) for _ in range(4))
    width, height_there = picture.size
    box = (left * width, top * height_there, (1 - right) * width, (1 - bottom) * height_there)
    part = ImageOps.fit(picture.crop(box), (WIDTH, height), Image.Resampling.BICUBIC)
    if draw.random() < 0.5:
        part = ImageOps.mirror(part)
    return ImageEnhance.Brightness(part).enhance(draw.uniform(0.85, 1.15))


def _jpeg(frame: Image.Image) -> bytes:
    buffer = io.BytesIO()
    frame.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
