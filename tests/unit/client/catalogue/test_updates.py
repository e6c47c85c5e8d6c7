from pathlib import Path

import pytest

from framelens_client.catalogue.updates import UpdateFile, UpdateRow, read_updates
from framelens_client.errors import CatalogueError
from framelens_client.results import ProductUpdate


def read(tmp_path: Path, content: str) -> UpdateFile:
    path = tmp_path / "prices.csv"
    path.write_text(content)
    return read_updates(path)


def test_what_is_given_changes_and_what_is_blank_stays(tmp_path: Path) -> None:
    found = read(tmp_path, "price,id,availability,stock\n9.5,p1,in_stock,7\n,p2,preorder,\n-1,p3,,\n0,p4,,\n")
    assert found.updates == (
        UpdateRow(2, ProductUpdate("p1", price=9.5, availability="in_stock")),
        UpdateRow(3, ProductUpdate("p2", availability="preorder")),
        UpdateRow(4, ProductUpdate("p3", price=-1.0)),
        UpdateRow(5, ProductUpdate("p4", price=0.0)),
    )
    assert found.rejections == ()
    assert found.unused_columns == ("stock",)


def test_every_row_is_counted_once(tmp_path: Path) -> None:
    found = read(tmp_path, "id,price,boost\np1,1,0.1\n,1,\np2,,\np1,2,\np3,cheap,\np4,1\np5,,much\n")
    assert [row.line for row in found.updates] == [2]
    assert [str(rejection) for rejection in found.rejections] == [
        "line 3: no id",
        'line 4: product "p2": nothing to change',
        'line 5: product "p1": the product is in line 2 already',
        "line 6: product \"p3\": price 'cheap' is not a number such as 19.90",
        "line 7: 2 fields where the header has 3",
        "line 8: product \"p5\": boost 'much' is not a number such as 0.1",
    ]


@pytest.mark.parametrize(
    ("content", "flaw"),
    [("", "is empty"), ("price\n", "no column id"), ("id\np1\n", "no column says what"), ("id,x\n", "no column says")],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: str, flaw: str) -> None:
    with pytest.raises(CatalogueError, match=flaw):
        read(tmp_path, content)
