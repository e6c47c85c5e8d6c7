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
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(max(_SMALLEST_FONT, round(min(canvas.size) * _FONT_SHARE)))
    for index, caption in enumerate(captions):
        _draw_caption(pen, canvas.size, font, caption, _COLOURS[index % len(_COLOURS)])
    try:
        canvas.save(out, format="PNG")
    except OSError as error:
        raise click.ClickException(f"cannot write {out}: {error.strerror}") from error


def _as_displayed(opened: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(opened)
    if upright.mode.startswith("I"):  # 16 bits a pixel; Pillow would clip them to 8
        upright = upright.convert("I").point(lambda value: value / 256).convert("L")
    return upright.convert("RGB")


def _draw_caption(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    caption: Caption,
    colour: str,
) -> None:
    width, height = size
    box = caption.box
    left, top = box.x_min * (width - 1), box.y_min * (height - 1)
    stroke = max(1, round(min(size) / 200))
    pen.rectangle((left, top, box.x_max * (width - 1), box.y_max * (height - 1)), outline=colour, width=stroke)
    _, _, text_width, text_height = pen.textbbox((0, 0), caption.text, font=font)
    # Above the box, or inside it at the top edge; never off the right edge.
    at = (max(0.0, min(left, width - text_width - 2 * stroke)), max(0.0, top - text_height - 2 * stroke))
    pen.rectangle((*at, at[0] + text_width + 2 * stroke, at[1] + text_height + 2 * stroke), fill=colour)
    pen.text((at[0] + stroke, at[1] + stroke), caption.text, fill="white", font=font)


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
