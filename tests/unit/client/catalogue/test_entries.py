import os
from pathlib import Path

import pytest

from framelens_client.catalogue.entries import Catalogue, read_catalogue
from framelens_client.results import Box, Product

HEADER = "id,title,url,merchant,category,price,currency,image,region\n"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.jpg").write_bytes(name.encode())
    return folder


def read(images: Path, rows: str) -> Catalogue:
    path = images.parent / "catalogue.csv"
    path.write_text(HEADER + rows)
    return read_catalogue(path, images)


def reports(catalogue: Catalogue) -> list[str]:
    return [str(rejection) for rejection in catalogue.rejections]


def test_scattered_rows_become_one_product(images: Path) -> None:
    rows = "p1,Cup,,,,,,a.jpg,\np2,Pot,,,,,,b.jpg,\np1,,,,cups,,,c.jpg,0 0 1 0.5\n"
    cup, pot = read(images, rows).entries
    assert cup.product == Product("p1", title="Cup", category="cups")
    assert [(image.name, image.region) for image in cup.images] == [("a.jpg", None), ("c.jpg", Box(0, 0, 1, 0.5))]
    assert (cup.rows, pot.rows) == ((2, 4), (3,))


def test_rows_of_one_product_that_disagree(images: Path) -> None:
    catalogue = read(images, "p1,Cup,,,,1,,a.jpg,\np1,Mug,,,,1,,b.jpg,\np1,Cup,,,,2,,c.jpg,\n")
    assert reports(catalogue) == [
        "line 3: product \"p1\": title 'Mug' differs from 'Cup' of line 2",
        'line 4: product "p1": price 2.0 differs from 1.0 of line 2',
    ]
    assert catalogue.entries[0].rows == (2,)


@pytest.mark.parametrize(
    ("image", "flaw"),
    [
        ("x.jpg", "image not found: x.jpg"),
        ("a.jpg/b.jpg", "image not found: a.jpg/b.jpg"),
        ("folder", "image is not a file: folder"),
        ("../secret", "image leads out of the folder of images: ../secret"),
        ("/etc/passwd", "image leads out of the folder of images: /etc/passwd"),
        ("huge.jpg", "image is larger than 64 MiB: huge.jpg"),
    ],
)
def test_images_that_cannot_be_sent(images: Path, image: str, flaw: str) -> None:
    (images / "folder").mkdir()
    with (images / "huge.jpg").open("wb") as huge:
        huge.truncate(64 * 2**20 + 1)
    catalogue = read(images, f"p1,,,,,,,{image},\np1,,,,,,,a.jpg,\n")
    assert reports(catalogue) == [f'line 2: product "p1": {flaw}']
    assert catalogue.entries[0].rows == (3,)


def test_a_repeated_picture_is_sent_once(images: Path) -> None:
    (entry,) = read(images, "p1,,,,,,,a.jpg,\np1,,,,,,,a.jpg,\n").entries
    assert (len(entry.images), entry.rows) == (1, (2, 3))


def test_sixteen_pictures_at_most(images: Path) -> None:
    rows = [f"p1,,,,,,,a.jpg,0 0 1 {number / 20}" for number in range(1, 18)]
    catalogue = read(images, "\n".join(rows))
    assert reports(catalogue) == ['line 18: product "p1": more than 16 pictures of one product']


def test_every_row_is_counted_once(images: Path) -> None:
    catalogue = read(images, "p1,,,,,,,a.jpg,\nbad\np1,,,,,,,x.jpg,\np1,,,,,,,a.jpg,\n,,,,,,,a.jpg,\n")
    assert catalogue.row_count == 5
    assert sorted([rejection.line for rejection in catalogue.rejections] + list(catalogue.entries[0].rows)) == [
        *range(2, 7)
    ]


@pytest.mark.parametrize("rows", ["p1,Cup,,,,,,a.jpg,0 0 1 1\n", "p1,Cup,,,,,,a.jpg,\np1,Cup,,,,,,b.jpg,\n"])
def test_the_fingerprint_of_pictures_follows_the_pictures_alone(images: Path, rows: str) -> None:
    (before,) = read(images, "p1,Cup,,,,,,a.jpg,\n").entries
    (after,) = read(images, rows).entries
    assert before.pictures_fingerprint() != after.pictures_fingerprint()
    assert before.fields_fingerprint() == after.fields_fingerprint()


@pytest.mark.parametrize("row", ["p1,Mug,,,,,,a.jpg,\n", "p1,Cup,,,,0,,a.jpg,\n", "p1,Cup,,,,,EUR,a.jpg,\n"])
def test_the_fingerprint_of_fields_follows_the_fields_alone(images: Path, row: str) -> None:
    (before,) = read(images, "p1,Cup,,,,,,a.jpg,\n").entries
    (after,) = read(images, row).entries
    assert before.fields_fingerprint() != after.fields_fingerprint()
    assert before.pictures_fingerprint() == after.pictures_fingerprint()


def test_the_fingerprint_of_pictures_follows_the_file(images: Path) -> None:
    before = read(images, "p1,Cup,,,,,,a.jpg,\n").entries[0].pictures_fingerprint()
    assert read(images, "p1,Cup,,,,,,a.jpg,\n").entries[0].pictures_fingerprint() == before
    os.utime(images / "a.jpg", ns=(1, 1))
    assert read(images, "p1,Cup,,,,,,a.jpg,\n").entries[0].pictures_fingerprint() != before
