from pathlib import Path

import pytest

from framelens_client.catalogue.entries import Entry, Image
from framelens_client.catalogue.journal import Journal
from framelens_client.errors import CatalogueError
from framelens_client.results import Product


def entry(product_id: str, size: int = 1, price: float | None = None) -> Entry:
    return Entry(Product(product_id, price=price), (Image("a", Path("a"), None, size, 0),), (2,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_it_remembers(path: Path) -> None:
    with Journal(path, "here") as journal:
        journal.add([entry("p1"), entry("p2")])
    with Journal(path, "here") as journal:
        assert journal.has(entry("p1"))
        assert not journal.has(entry("p1", size=2)), "changed since"
        assert not journal.has(entry("p3"))


def test_it_tells_pictures_from_fields(path: Path) -> None:
    with Journal(path, "here") as journal:
        journal.add([entry("p1")])
    with Journal(path, "here") as journal:
        assert journal.has_pictures(entry("p1"))
        assert journal.has_pictures(entry("p1", price=2)) and not journal.has(entry("p1", price=2))
        assert not journal.has_pictures(entry("p1", size=2))
        assert not journal.has_pictures(entry("p2"))


def test_lines_of_an_earlier_version_are_passed_over(path: Path) -> None:
    path.write_text('{"framelens_import": 1}\n{"target": "here", "id": "p1", "fingerprint": "abc"}\n')
    with Journal(path, "here") as journal:
        assert not journal.has(entry("p1"))
        assert not journal.has_pictures(entry("p1"))
        journal.add([entry("p1")])
    with Journal(path, "here") as journal:
        assert journal.has(entry("p1"))


def test_another_gateway_has_acknowledged_nothing(path: Path) -> None:
    with Journal(path, "here") as journal:
        journal.add([entry("p1")])
    with Journal(path, "there") as journal:
        assert not journal.has(entry("p1"))


def test_restart_forgets(path: Path) -> None:
    with Journal(path, "here") as journal:
        journal.add([entry("p1")])
    with Journal(path, "here", restart=True) as journal:
        assert not journal.has(entry("p1"))
    with Journal(path, "here") as journal:
        assert not journal.has(entry("p1"))


@pytest.mark.parametrize("torn", range(1, 280, 7))
def test_whatever_a_kill_tears_off_the_rest_is_kept(path: Path, torn: int) -> None:
    with Journal(path, "here") as journal:
        journal.add([entry("p1")])
    path.write_bytes(path.read_bytes()[:-torn])
    with Journal(path, "here") as journal:
        assert journal.has(entry("p1")) == (torn == 1), "a line without its end is still whole"
        journal.add([entry("p2")])
    with Journal(path, "here") as journal:
        assert journal.has(entry("p2"))


def test_a_file_that_is_no_journal_is_left_alone(path: Path) -> None:
    path.write_text("id,title\n")
    for restart in (False, True):
        with pytest.raises(CatalogueError, match="is not the journal of an import"):
            Journal(path, "here", restart=restart)
    assert path.read_text() == "id,title\n"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="see --state"):
        Journal(tmp_path / "missing" / "state", "here")
