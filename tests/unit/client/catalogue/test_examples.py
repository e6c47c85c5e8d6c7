"""The catalogues that docs/products.md shows can be read as they are."""

import re
from pathlib import Path

import pytest
from PIL import Image

from framelens_client.catalogue.entries import read_catalogue
from framelens_client.catalogue.formats import format_of
from framelens_client.catalogue.updates import read_updates

PAGE = (Path(__file__).parents[4] / "docs" / "products.md").read_text()
BLOCKS = re.findall(r"```(csv|json)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("coffee.png", "grass.png", "gravel.png"):
        Image.new("RGB", (600, 400)).save(tmp_path / name)
    return tmp_path


def test_every_example_is_read_here() -> None:
    assert [kind for kind, _ in BLOCKS] == ["csv", "json", "csv", "csv"]


@pytest.mark.parametrize(
    ("number", "name", "form"), [(0, "a.csv", "csv"), (1, "a.jsonl", "jsonl"), (2, "bulk.csv", "google")]
)
def test_a_catalogue(images: Path, number: int, name: str, form: str) -> None:
    path = images / name
    path.write_text(BLOCKS[number][1])
    assert format_of(path) == form
    found = read_catalogue(path, images)
    assert found.rejections == ()
    assert found.unused_columns == ()
    assert [entry.product.id for entry in found.entries] == ["mug", "turf"]


def test_updates(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(BLOCKS[3][1])
    found = read_updates(tmp_path / "prices.csv")
    assert [row.update.id for row in found.updates] == ["mug", "turf"]
    assert found.rejections == ()
