"""Frames with a product in them: a cut-out pasted into a photograph, altered as a feed's frame would be."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageEnhance, ImageOps

from framelens_client import Box
from framelens_perf.unnamed.pictures import CutOut, Photograph

_LEAST_WIDTH, _MOST_WIDTH = 0.15, 0.45
_MOST_HEIGHT = 0.8
_BRIGHTNESS = (0.85, 1.15)
_QUALITIES = (60, 90)
_FLIPPED = 0.3
_REFERENCE_MARGIN = 0.06


@dataclass(frozen=True)
class Scene:
    """An encoded frame, the product that is in it, and where."""

    name: str
    picture: bytes
    product: str
    place: Box


def scene(cut_out: CutOut, photograph: Photograph, draw: random.Random) -> Scene:
    """The cut-out at 15 to 45 % of the frame's width, somewhere, at times mirrored, in another light, recompressed."""
    frame = photograph.picture.copy()
    pasted = _altered(cut_out.picture, frame.size, draw)
    left, top = draw.randint(0, frame.width - pasted.width), draw.randint(0, frame.height - pasted.height)
    frame.paste(pasted, (left, top), pasted)
    place = Box(
        left / frame.width,
        top / frame.height,
        (left + pasted.width) / frame.width,
        (top + pasted.height) / frame.height,
    )
    return Scene(f"{cut_out.name} in {photograph.name}", as_jpeg(frame, draw.randint(*_QUALITIES)), cut_out.name, place)


def scenes(cut_outs: Sequence[CutOut], backgrounds: Sequence[Photograph], seed: int) -> list[Scene]:
    """One for each cut-out; the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - the same in every run
    return [scene(cut_out, draw.choice(backgrounds), draw) for cut_out in cut_outs]


def reference(cut_out: CutOut) -> tuple[bytes, Box]:
    """As a shop shows it, on plain white; and the region that holds it."""
    margin = round(max(cut_out.picture.size) * _REFERENCE_MARGIN)
    picture = Image.new("RGB", (cut_out.picture.width + 2 * margin, cut_out.picture.height + 2 * margin), "white")
    picture.paste(cut_out.picture, (margin, margin), cut_out.picture)
    x, y = margin / picture.width, margin / picture.height
    return as_jpeg(picture, 92), Box(x, y, 1 - x, 1 - y)


def as_jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _altered(picture: Image.Image, frame: tuple[int, int], draw: random.Random) -> Image.Image:
    width = draw.uniform(_LEAST_WIDTH, _MOST_WIDTH) * frame[0]
    scale = min(width / picture.width, _MOST_HEIGHT * frame[1] / picture.height)
    size = max(8, round(picture.width * scale)), max(8, round(picture.height * scale))
    pasted = picture.resize(size, Image.Resampling.LANCZOS)
    if draw.random() < _FLIPPED:
        pasted = ImageOps.mirror(pasted)
    lit = ImageEnhance.Brightness(pasted.convert("RGB")).enhance(draw.uniform(*_BRIGHTNESS))
    lit.putalpha(pasted.getchannel("A"))
    return lit
