"""Reads the rows of a catalogue in CSV."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from framelens_client.catalogue.rows import COLUMNS, Rejection, Row, rejected, row_of, text_flaw
from framelens_client.errors import CatalogueError

if TYPE_CHECKING:
    from _csv import Reader  # type: ignore[attr-defined,unused-ignore]

REQUIRED_COLUMNS = ("id", "image")
# What spreadsheets write between fields where the comma is the decimal sign.
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}


class Table:
    """An open CSV file with a header, which names at least the `required` columns. Raises CatalogueError."""

    def __init__(self, path: Path, file: TextIO, known: Sequence[str], required: Sequence[str]) -> None:
        self._reader = csv.reader(file, strict=True)
        self._header = _header(path, self._reader, known, required)
        self.columns = tuple(self._header)
        self.unused_columns = tuple(name for name in self._header if name not in known)

    def rows(self) -> Iterator[tuple[int, dict[str, str]] | Rejection]:
        """The line and the cells, by column and without spaces around them, of every row that is not blank, once."""
        for line, fields in records(self._reader):
            if isinstance(fields, str):
                yield rejected(line, fields)
            elif len(fields) != len(self._header):
                yield rejected(line, f"{len(fields)} fields where the header has {len(self._header)}")
            else:
                yield line, dict(zip(self._header, (field.strip() for field in fields), strict=True))


class CatalogueFile:
    """An open catalogue. Raises CatalogueError unless its header is in order."""

    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, file: TextIO) -> None:
        self._table = Table(path, file, COLUMNS, REQUIRED_COLUMNS)
        self.unused_columns = self._table.unused_columns

    def rows(self) -> Iterator[Row | Rejection]:
        for row in self._table.rows():
            yield row if isinstance(row, Rejection) else row_of(*row)


def open_text(path: Path) -> TextIO:
    """Bytes that are not UTF-8 are kept apart as surrogates, so that only their own row is rejected."""
    try:
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise CatalogueError(f"cannot read {path}: {error.strerror}") from error


def records(reader: "Reader") -> Iterator[tuple[int, list[str] | str]]:
    """The line and the fields of every row that is not blank, or what is wrong with it."""
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"not valid CSV up to line {reader.line_num}: {error}"
            continue
        if fields:
            yield line, fields


def _header(path: Path, reader: Iterator[list[str]], known: Sequence[str], required: Sequence[str]) -> list[str]:
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise CatalogueError(f"{path}: the header is not valid CSV: {error}") from error
    if not header:
        raise CatalogueError(f"{path} is empty: its first line must name the columns {','.join(known)}")
    if flaw := text_flaw((f"column {number}", name) for number, name in enumerate(header, 1)):
        raise CatalogueError(f"{path}: the header has {flaw}; save the file as CSV in UTF-8")
    if missing := [name for name in required if name not in header]:
        flaw = f"the header has no column {' and no '.join(missing)}; found {','.join(header)}"
        raise CatalogueError(f"{path}: {flaw}{_separator_hint(header)}")
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise CatalogueError(f"{path}: columns named more than once: {','.join(doubled)}")
    return header


def _separator_hint(header: Sequence[str]) -> str:
    used = [name for separator, name in _OTHER_SEPARATORS.items() if separator in header[0]]
    return f" (its fields are separated by {used[0]}: save the file with commas)" if used else ""
