from io import BytesIO
from pathlib import Path

import click
import pytest
from PIL import Image

from framelens_client.cli.drawing import Caption, draw, drawing_paths
from framelens_client.results import Box

CAPTIONS = [
    Caption(Box(0.25, 0.25, 0.75, 0.75), "cup 0.95 > Ein roter Becher 0.90"),
    Caption(Box(0, 0, 1, 1), "region"),
]


def drawn(picture: Path, captions: list[Caption] = CAPTIONS) -> Image.Image:
    out = picture.with_name("out.png")
    draw(picture, captions, out)
    image = Image.open(BytesIO(out.read_bytes()))
    assert image.format == "PNG"
    return image


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "I;16", "1"])
@pytest.mark.parametrize("size", [(640, 480), (1, 1), (30, 2000)])
def test_any_picture_keeps_its_size(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    path = tmp_path / ("in.tiff" if mode == "CMYK" else "in.png")
    Image.new(mode, size).save(path)
    assert drawn(path).size == size


def test_boxes_and_captions_are_where_they_belong(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.new("RGB", (800, 800), "white").save(path)
    image = drawn(path, CAPTIONS[:1])
    assert image.getpixel((200, 400)) != (255, 255, 255), "left edge"
    assert image.getpixel((400, 599)) != (255, 255, 255), "lower edge"
    assert image.getpixel((400, 400)) == (255, 255, 255), "inside"
    assert image.getpixel((202, 190)) != (255, 255, 255), "caption"
    assert image.getpixel((100, 100)) == (255, 255, 255), "outside"


def test_a_turned_picture_is_drawn_as_displayed(tmp_path: Path) -> None:
    path = tmp_path / "in.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(path, exif=exif)
    assert drawn(path).size == (48, 64)


def test_sixteen_bits_are_not_clipped(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.new("I;16", (8, 8), 0x8000).save(path)
    assert drawn(path, []).getpixel((4, 4)) == (128, 128, 128)


def test_what_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    path.write_bytes(b"nothing")
    with pytest.raises(click.ClickException, match="cannot draw on"):
        draw(path, [], tmp_path / "out.png")


def test_where_drawings_go(tmp_path: Path) -> None:
    one, two, twin = Path("a/x.jpg"), Path("a/y.jpg"), Path("b/x.jpg")
    assert drawing_paths(tmp_path / "o.png", [one]) == [tmp_path / "o.png"]
    assert drawing_paths(tmp_path / "o.png", [one, two]) == [tmp_path / "o-x.png", tmp_path / "o-y.png"]
    assert drawing_paths(tmp_path, [one, two, twin]) == [tmp_path / name for name in ("x.png", "y.png", "x-2.png")]
    with pytest.raises(click.UsageError, match="is a PNG"):
        drawing_paths(tmp_path / "o.jpg", [one])


def test_a_drawing_never_overwrites_what_it_was_made_from(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "x.png"):
        with pytest.raises(click.UsageError, match="would overwrite"):
            drawing_paths(out, [tmp_path / "x.png"])
