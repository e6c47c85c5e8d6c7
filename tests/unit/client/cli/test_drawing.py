from io import BytesIO
from pathlib import Path

import click
import pytest
from PIL import Image, ImageColor

from framelens_client.cli.drawing import _COLOURS, Caption, draw, drawing_paths
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


def fill(image: Image.Image, index: int) -> int:
    """How many pixels have the colour of the caption with this index, its box's outline included."""
    colour = ImageColor.getrgb(_COLOURS[index])
    return sum(count for count, seen in image.getcolors(image.width * image.height) if seen == colour)


def test_no_caption_hides_another(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.new("RGB", (600, 400), "white").save(path)
    # The same place, a box within the other, and one at the top edge.
    boxes = [Box(0.3, 0.03, 0.7, 0.6), Box(0.3, 0.03, 0.7, 0.6), Box(0.25, 0.02, 0.9, 0.9), Box(0.3, 0.05, 0.5, 0.5)]
    alone = fill(drawn(path, [Caption(Box(0.5, 0.5, 0.5, 0.5), "object")]), 0)
    together = drawn(path, [Caption(box, "object") for box in boxes])
    for index in range(len(boxes)):
        assert fill(together, index) > 0.9 * alone, f"caption {index}"


def test_with_no_room_left_the_best_answer_is_on_top(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.new("RGB", (100, 30), "white").save(path)
    captions = [Caption(Box(0, 0, 1, 1), f"object {index}") for index in range(8)]
    assert fill(drawn(path, captions), 0) > 0.9 * fill(drawn(path, captions[:1]), 0)


def test_transparency_is_drawn_over_white_as_the_server_sees_it(tmp_path: Path) -> None:
    for mode, colour in (("RGBA", (200, 0, 0, 0)), ("LA", (0, 0))):
        path = tmp_path / "in.png"
        Image.new(mode, (32, 32), colour).save(path)
        assert drawn(path, []).getpixel((16, 16)) == (255, 255, 255)
    Image.new("P", (32, 32), 0).save(path, transparency=0)
    assert drawn(path, []).getpixel((16, 16)) == (255, 255, 255)


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
