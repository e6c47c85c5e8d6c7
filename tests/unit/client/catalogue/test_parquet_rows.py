import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from framelens_client.catalogue.formats import opened
from framelens_client.catalogue.parquet_rows import ParquetRows
from framelens_client.catalogue.rows import Rejection, Row
from framelens_client.errors import CatalogueError
from framelens_client.results import Box, Product


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.parquet"


def write(path: Path, **columns: Any) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


def read(path: Path) -> tuple[list[Row | Rejection], tuple[str, ...]]:
    with opened(path, path.parent) as found:
        return list(found.rows()), found.unused_columns


@pytest.mark.parametrize(
    "prices",
    [
        pyarrow.array([19.9, None, 1e6]),
        pyarrow.array([19.9, None, 1e6], pyarrow.float32()),
        pyarrow.array([Decimal("19.90"), None, Decimal(1_000_000)]),
        pyarrow.array(["19.90", "", "1000000"]),
        pyarrow.array(["19.90", "", "1000000"]).dictionary_encode(),
    ],
    ids=["double", "float", "decimal", "text", "dictionary"],
)
def test_a_row_for_each_picture(path: Path, prices: Any) -> None:
    regions = [[0.0, 0.0, 0.5, 1.0], None, None]
    write(path, id=["p1", "p2", "p3"], image=["a.jpg", "b.jpg", ""], price=prices, region=regions, stock=[1, 2, 3])
    rows, unused = read(path)
    assert rows[:2] == [
        Row(1, Product("p1", price=19.9), "a.jpg", Box(0, 0, 0.5, 1)),
        Row(2, Product("p2"), "b.jpg", None),
    ]
    assert str(rows[2]) == 'line 3: product "p3": no image'
    assert unused == ("stock",)


def test_a_row_for_each_product(path: Path) -> None:
    pictures = [[{"image": "a.jpg", "region": "0,0,1,0.5"}, {"image": "b.jpg", "region": None}], None]
    write(path, id=pyarrow.array([1, 2]), title=["Cup", None], pictures=pictures)
    rows, unused = read(path)
    assert rows[:2] == [
        Row(1, Product("1", "Cup"), "a.jpg", Box(0, 0, 1, 0.5)),
        Row(1, Product("1", "Cup"), "b.jpg", None),
    ]
    assert isinstance(rows[2], Rejection) and rows[2].line == 2
    assert unused == ()


def test_many_rows_are_numbered_through(path: Path) -> None:
    write(path, id=[f"p{n}" for n in range(3000)], image=["a.jpg"] * 3000)
    rows, _ = read(path)
    assert [(row.line, row.product.id) for row in rows if isinstance(row, Row)][-1] == (3000, "p2999")


def test_it_is_told_by_its_content_too(path: Path) -> None:
    other = write(path, id=["p1"], image=["a.jpg"]).rename(path.with_suffix(".catalogue"))
    assert read(other)[0] == [Row(1, Product("p1"), "a.jpg", None)]


def test_files_that_cannot_be_used(path: Path) -> None:
    with pytest.raises(CatalogueError, match="a column id, and image or pictures; found id,title$"):
        ParquetRows(write(path, id=["p1"], title=["Cup"]))
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(CatalogueError, match="cannot read"):
        ParquetRows(path)
    with pytest.raises(CatalogueError, match="cannot read"):
        ParquetRows(path.with_name("none.parquet"))


def test_without_pyarrow_it_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, id=["p1"], image=["a.jpg"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CatalogueError, match=r"pip install 'framelens-client\[parquet\]'"):
        ParquetRows(path)
