"""Draws boxes, labels and best matches on a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import click
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from framelens_client.results import Box, Match, Recognition, RegionSearch

_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")
_SMALLEST_FONT = 10
_FONT_SHARE = 1 / 28
# zlib's fastest: the smallest file costs seconds where a picture has tens of millions of pixels.
_PNG_EFFORT = 1

# Left, top, right, bottom in pixels.
_Area = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Caption:
    box: Box
    text: str


def recognition_captions(answer: Recognition) -> list[Caption]:
    return [Caption(found.box, f"{found.label} {found.score:.2f}{_best(found.matches)}") for found in answer.objects]


def search_captions(answer: RegionSearch) -> list[Caption]:
    return [Caption(answer.region, f"region{_best(answer.matches)}")]


def drawing_paths(out: Path, files: Sequence[Path]) -> list[Path]:
    """A path for each file: OUT itself for one, OUT-NAME.png for several, NAME.png inside OUT if that is a folder."""
    paths = _paths(out, files)
    for path in {path.resolve() for path in paths} & {file.resolve() for file in files}:
        raise click.UsageError(f"--draw {out} would overwrite {path}: name another")
    return paths


def _paths(out: Path, files: Sequence[Path]) -> list[Path]:
    if out.is_dir():
        return _distinct([out / f"{file.stem}.png" for file in files])
    if out.suffix.lower() != ".png":
        raise click.UsageError(f"--draw {out}: the drawing is a PNG, so name it so, or name a folder that exists")
    if len(files) == 1:
        return [out]
    return _distinct([out.with_name(f"{out.stem}-{file.stem}.png") for file in files])


def draw(picture: Path, captions: Sequence[Caption], out: Path) -> None:
    """Writes the picture as displayed, with its captions, to `out` as PNG. Raises ClickException."""
    try:
        with Image.open(BytesIO(picture.read_bytes())) as opened:
            canvas = _as_displayed(opened)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise click.ClickException(f"cannot draw on {picture}: {error}") from error
    _draw_captions(canvas, captions)
    try:
        canvas.save(out, format="PNG", compress_level=_PNG_EFFORT)
    except OSError as error:
        raise click.ClickException(f"cannot write {out}: {error.strerror}") from error


def _as_displayed(opened: Image.Image) -> Image.Image:
    """Upright, and over white where it is transparent, as the server looks at it."""
    upright = ImageOps.exif_transpose(opened)
    if upright.mode.startswith("I"):  # 16 bits a pixel; Pillow would clip them to 8
        return upright.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return upright.convert("RGB")


def _draw_captions(canvas: Image.Image, captions: Sequence[Caption]) -> None:
    """All boxes, then the texts; the best answer comes first, so its text is placed first and drawn last."""
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(max(_SMALLEST_FONT, round(min(canvas.size) * _FONT_SHARE)))
    stroke = max(1, round(min(canvas.size) / 200))
    coloured = [(caption, _COLOURS[index % len(_COLOURS)]) for index, caption in enumerate(captions)]
    for caption, colour in reversed(coloured):
        pen.rectangle(_outline(caption.box, canvas.size), outline=colour, width=stroke)
    placed: list[tuple[_Area, str, str]] = []
    for caption, colour in coloured:
        _, _, width, height = pen.textbbox((0, 0), caption.text, font=font)
        size = (width + 2 * stroke, height + 2 * stroke)
        area = _free_area(_outline(caption.box, canvas.size), size, canvas.size, [taken for taken, _, _ in placed])
        placed.append((area, caption.text, colour))
    for area, text, colour in reversed(placed):
        pen.rectangle(area, fill=colour)
        pen.text((area[0] + stroke, area[1] + stroke), text, fill="white", font=font)


def _outline(box: Box, canvas: tuple[int, int]) -> _Area:
    width, height = canvas[0] - 1, canvas[1] - 1
    return box.x_min * width, box.y_min * height, box.x_max * width, box.y_max * height


def _free_area(outline: _Area, size: tuple[float, float], canvas: tuple[int, int], taken: Sequence[_Area]) -> _Area:
    """Above the box, or inside it at the top edge; never off the right edge.

    Where another text is in the way, the nearest line below or above that is free; over it where none is.
    """
    width, height = size
    left, wanted = max(0.0, min(outline[0], canvas[0] - width)), max(0.0, outline[1] - height)
    lines = range(1, int(canvas[1] // height) + 1)
    tops = [top for line in lines for top in (wanted + line * height, wanted - line * height)]
    areas = [(left, top, left + width, top + height) for top in tops if 0 <= top <= canvas[1] - height]
    areas.insert(0, (left, wanted, left + width, wanted + height))
    return next((area for area in areas if not any(_overlap(area, other) for other in taken)), areas[0])


def _overlap(one: _Area, other: _Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _best(matches: Sequence[Match]) -> str:
    return f" > {matches[0].title or matches[0].id} {matches[0].score:.2f}" if matches else ""


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """Pictures of one name in two folders must not overwrite each other's drawing."""
    taken: dict[Path, None] = {}
    for path in paths:
        number, free = 1, path
        while free in taken:
            number += 1
            free = path.with_stem(f"{path.stem}-{number}")
        taken[free] = None
    return list(taken)
