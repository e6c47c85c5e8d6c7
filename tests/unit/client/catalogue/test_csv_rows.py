from pathlib import Path

import pytest

from framelens_client.catalogue.csv_rows import CatalogueFile, open_text
from framelens_client.catalogue.rows import Rejection, Row
from framelens_client.errors import CatalogueError
from framelens_client.results import Box, Product

HEADER = "id,title,url,merchant,category,price,currency,image,region\n"


def read(path: Path, content: str | bytes) -> list[Row | Rejection]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with open_text(path) as file:
        return list(CatalogueFile(path, file).rows())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.csv"


def test_a_row(path: Path) -> None:
    rows = read(path, HEADER + 'p1, Cup ,http://x,Shop,cups,19.90,EUR,a/b.jpg,"0,0,0.5,1"\n')
    product = Product("p1", "Cup", "http://x", "Shop", "cups", 19.9, "EUR")
    assert rows == [Row(2, product, "a/b.jpg", Box(0, 0, 0.5, 1))]


def test_what_may_be_absent(path: Path) -> None:
    content = "\ufeffimage,id,title,url,merchant,category,price,currency,stock\r\na.jpg,p1,,,,,,,7\r\n"
    path.write_text(content, newline="")
    with open_text(path) as file:
        catalogue = CatalogueFile(path, file)
        assert catalogue.unused_columns == ("stock",)
        assert list(catalogue.rows()) == [Row(2, Product("p1"), "a.jpg", None)]


def test_columns_that_may_be_blank_may_be_left_out(path: Path) -> None:
    assert read(path, "id,image\np1,a.jpg\n") == [Row(2, Product("p1"), "a.jpg", None)]
    assert read(path, "id,title,image\np1,Cup,a.jpg\n") == [Row(2, Product("p1", "Cup"), "a.jpg", None)]


def test_availability_and_boost(path: Path) -> None:
    rows = read(path, "id,image,availability,boost\np1,a.jpg,in_stock,-.1\np2,a.jpg,,\np3,a.jpg,,much\n")
    assert rows[:2] == [
        Row(2, Product("p1", availability="in_stock", boost=-0.1), "a.jpg", None),
        Row(3, Product("p2"), "a.jpg", None),
    ]
    assert str(rows[2]) == "line 4: product \"p3\": boost 'much' is not a number such as 0.1"


def test_lines_are_those_of_an_editor(path: Path) -> None:
    rows = read(path, HEADER + '\np1,"two\nlines",,,,,,a.jpg,\n\np2,,,,,,,b.jpg,\n')
    assert [(row.line, row.product.id) for row in rows if isinstance(row, Row)] == [(3, "p1"), (6, "p2")]


@pytest.mark.parametrize(
    ("row", "report"),
    [
        ("p1,t\n", "line 2: 2 fields where the header has 9"),
        ("p1,,,,,,,a.jpg,,extra\n", "line 2: 10 fields where the header has 9"),
        (",t,,,,,,a.jpg,\n", "line 2: no id"),
        ("p1,t,,,,,,,\n", 'line 2: product "p1": no image'),
        ('p1,,,,,"19,90",,a.jpg,\n', "line 2: product \"p1\": price '19,90' is not a number such as 19.90"),
        ("p1,,,,,-1,,a.jpg,\n", 'line 2: product "p1": price -1 is below 0'),
        ("p1,,,,,nan,,a.jpg,\n", "line 2: product \"p1\": price 'nan' is not a number such as 19.90"),
        ("p1,,,,,,,a.jpg,0 0 1\n", "line 2: product \"p1\": region '0 0 1' is not four numbers X1,Y1,X2,Y2"),
        ("p1,a\0b,,,,,,a.jpg,\n", 'line 2: product "p1": a NUL character in title'),
        (b"p1,caf\xe9,,,,,,a.jpg,\n", 'line 2: product "p1": bytes that are not UTF-8 in title'),
        (b"\xff,,,,,,,a.jpg,\n", "line 2: bytes that are not UTF-8 in id"),
        ('p1,"x"y,,,,,,a.jpg,\n', "line 2: not valid CSV up to line 2: ',' expected after '\"'"),
    ],
)
def test_a_bad_row_is_rejected_and_its_neighbour_is_not(path: Path, row: str | bytes, report: str) -> None:
    bad = row if isinstance(row, bytes) else row.encode()
    rejection, neighbour = read(path, HEADER.encode() + bad + b"p2,,,,,,,b.jpg,\n")
    assert str(rejection) == report
    assert isinstance(neighbour, Row)


def test_a_quote_that_is_never_closed_says_how_far_it_reaches(path: Path) -> None:
    good, rejection = read(path, HEADER + 'p1,,,,,,,a.jpg,\np2,"open,,,,,,b.jpg,\np3,,,,,,,c.jpg,\n')
    assert isinstance(good, Row)
    assert str(rejection) == "line 3: not valid CSV up to line 4: unexpected end of data"


@pytest.mark.parametrize(
    ("content", "flaw"),
    [
        (b"", "is empty"),
        (b"title\n", "no column id and no image; found title$"),
        (b"id,title\n", "no column image; found id,title$"),
        (HEADER.replace(",", ";").encode(), r"separated by semicolons: save the file with commas\)$"),
        (HEADER.replace(",", "\t").encode(), r"separated by tabs: save the file with commas\)$"),
        (HEADER.replace("region", "title").encode(), "named more than once: title"),
        (HEADER.encode("utf-16"), "not UTF-8"),
        (HEADER.encode("utf-16-le"), "NUL"),
        (b'"id,title\n', "not valid CSV"),
    ],
)
def test_a_bad_header_refuses_the_file(path: Path, content: bytes, flaw: str) -> None:
    with pytest.raises(CatalogueError, match=flaw):
        read(path, content)


def test_a_catalogue_that_is_not_there(path: Path) -> None:
    with pytest.raises(CatalogueError, match="No such file"):
        open_text(path)
