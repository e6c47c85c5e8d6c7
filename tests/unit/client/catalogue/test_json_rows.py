import json
from pathlib import Path
from typing import Any

import pytest

from framelens_client.catalogue.csv_rows import open_text
from framelens_client.catalogue.json_rows import JsonLines
from framelens_client.catalogue.rows import Rejection, Row
from framelens_client.results import Box, Product


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.jsonl"


def read(path: Path, *lines: Any) -> tuple[list[Row | Rejection], tuple[str, ...]]:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(texts))
    with open_text(path) as file:
        found = JsonLines(file)
        return list(found.rows()), found.unused_columns


def test_an_object_for_each_picture(path: Path) -> None:
    fields = {"title": " Cup ", "url": "u", "merchant": "m", "category": "c", "price": 19.9, "currency": "EUR"}
    rows, unused = read(
        path,
        {"id": "p1", **fields, "availability": "in_stock", "boost": 0.1, "image": "a.jpg", "region": [0, 0, 0.5, 1]},
        b"",
        {"id": 17, "price": "7", "image": "b.jpg", "region": "0 0 1 0.5", "boost": None, "stock": 3},
        {"id": "p3", "price": 1e3, "image": "c.jpg", "region": {"x_max": 0.5, "y_max": 1, "y_min": 0.25}},
    )
    assert rows == [
        Row(1, Product("p1", "Cup", "u", "m", "c", 19.9, "EUR", "in_stock", 0.1), "a.jpg", Box(0, 0, 0.5, 1)),
        Row(3, Product("17", price=7), "b.jpg", Box(0, 0, 1, 0.5)),
        Row(4, Product("p3", price=1000), "c.jpg", Box(0, 0.25, 0.5, 1)),
    ]
    assert unused == ("stock",)


def test_an_object_for_each_product(path: Path) -> None:
    pictures = [{"image": "a.jpg", "region": [0, 0, 0.5, 1], "alt": "front"}, {"image": "b.jpg"}, {"region": None}]
    rows, unused = read(path, {"id": "p1", "title": "Cup", "pictures": pictures})
    assert rows[:2] == [
        Row(1, Product("p1", "Cup"), "a.jpg", Box(0, 0, 0.5, 1)),
        Row(1, Product("p1", "Cup"), "b.jpg", None),
    ]
    assert str(rows[2]) == 'line 1: product "p1": no image'
    assert unused == ("pictures.alt",)


@pytest.mark.parametrize(
    ("line", "report"),
    [
        (b"{", "line 1: not valid JSON: "),
        (b"[" * 100_000, "line 1: not valid JSON: "),
        (b"[1]", "line 1: not an object"),
        (b'{"id": "p\xff", "image": "a.jpg"}', "line 1: bytes that are not UTF-8 in id"),
        (b'{"id": "p1", "title": "\\ud800", "image": "a.jpg"}', 'line 1: product "p1": bytes that are not UTF-8'),
        ({"image": "a.jpg"}, "line 1: no id"),
        ({"id": None, "image": "a.jpg"}, "line 1: no id"),
        ({"id": "p1"}, 'line 1: product "p1": no image'),
        ({"id": "p1", "image": "a.jpg", "price": True}, 'line 1: product "p1": price is True; it must be text or a'),
        ({"id": "p1", "image": "a.jpg", "price": float("nan")}, 'line 1: product "p1": price is nan'),
        ({"id": "p1", "image": "a.jpg", "price": -1}, 'line 1: product "p1": price -1 is below 0'),
        ({"id": "p1", "image": "a.jpg", "title": ["a"]}, "line 1: product \"p1\": title is ['a']; it must be text"),
        ({"id": "p1", "image": "a.jpg", "region": [0, 1]}, "line 1: product \"p1\": region '0,1' is not four numbers"),
        ({"id": "p1", "image": "a.jpg", "region": 5}, 'line 1: product "p1": region is 5; it must be four numbers'),
        ({"id": "p1", "image": "a.jpg", "region": [0, 0, "x", 1]}, "line 1: product \"p1\": region is 'x'"),
        ({"id": "p1", "pictures": []}, 'line 1: product "p1": pictures is not a list of objects'),
        ({"id": "p1", "pictures": ["a.jpg"]}, 'line 1: product "p1": pictures is not a list of objects'),
        ({"id": "p1", "image": "a.jpg", "pictures": [{}]}, 'line 1: product "p1": both pictures and an image'),
    ],
)
def test_a_bad_line_is_rejected_and_its_neighbour_is_not(path: Path, line: Any, report: str) -> None:
    (rejection, neighbour), _ = read(path, line, {"id": "p2", "image": "b.jpg"})
    assert str(rejection).startswith(report)
    assert neighbour == Row(2, Product("p2"), "b.jpg", None)
