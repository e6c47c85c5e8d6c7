"""Reads a file of updates: CSV with an id and what changes of that product. A blank cell leaves a field as it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from framelens_client.catalogue.csv_rows import Table, open_text
from framelens_client.catalogue.rows import TEXTS, Rejection, boost_of, cell_flaw, price_of, rejected
from framelens_client.errors import CatalogueError
from framelens_client.results import ProductUpdate

COLUMNS = ("id", *TEXTS, "price", "boost")


@dataclass(frozen=True, slots=True)
class UpdateRow:
    """`line` is where the row starts in its file, counted from 1."""

    line: int
    update: ProductUpdate


@dataclass(frozen=True, slots=True)
class UpdateFile:
    """Every row read is in exactly one update or one rejection."""

    updates: tuple[UpdateRow, ...]
    rejections: tuple[Rejection, ...]
    unused_columns: tuple[str, ...]


def read_updates(path: Path) -> UpdateFile:
    """Raises CatalogueError."""
    with open_text(path) as file:
        table = Table(path, file, COLUMNS, ("id",))
        if set(table.unused_columns) >= set(table.columns) - {"id"}:
            raise CatalogueError(f"{path}: no column says what changes; there are {','.join(COLUMNS[1:])}")
        rows = list(_updates(table))
    return UpdateFile(
        tuple(row for row in rows if isinstance(row, UpdateRow)),
        tuple(row for row in rows if isinstance(row, Rejection)),
        table.unused_columns,
    )


def _updates(table: Table) -> Iterator[UpdateRow | Rejection]:
    lines: dict[str, int] = {}
    for row in table.rows():
        found = row if isinstance(row, Rejection) else _update_row(*row)
        if isinstance(found, UpdateRow):
            first = lines.setdefault(found.update.id, found.line)
            if first != found.line:
                found = rejected(found.line, f"the product is in line {first} already", found.update.id)
        yield found


def _update_row(line: int, cells: dict[str, str]) -> UpdateRow | Rejection:
    if flaw := cell_flaw(line, cells):
        return flaw
    texts = {name: cells[name] for name in TEXTS if cells.get(name)}
    try:
        update = ProductUpdate(
            cells["id"], price=price_of(cells.get("price", "")), boost=boost_of(cells.get("boost", "")), **texts
        )
    except ValueError as error:
        return rejected(line, str(error), cells["id"])
    return (
        rejected(line, "nothing to change", cells["id"])
        if update == ProductUpdate(cells["id"])
        else UpdateRow(line, update)
    )
