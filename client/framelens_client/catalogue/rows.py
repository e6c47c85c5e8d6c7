"""Reads the rows of a catalogue in CSV. What is wrong with one row rejects that row, not its file."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from framelens_client.errors import CatalogueError
from framelens_client.reasons import Reason
from framelens_client.region import parse_region
from framelens_client.results import Box, Product

REQUIRED_COLUMNS = ("id", "image")
_TEXTS = ("title", "url", "merchant", "category", "currency")
COLUMNS = ("id", "title", "url", "merchant", "category", "price", "currency", "image", "region")

_PRICE = re.compile(r"-?(\d+(\.\d*)?|\.\d+)", re.ASCII)
# What spreadsheets write between fields where the comma is the decimal sign.
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of a product; `line` is where the row starts in its file, counted from 1."""

    line: int
    product: Product
    image: str
    region: Box | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row is not stored; `id` is empty where the row has none that can be read."""

    line: int
    id: str
    reason: str
    message: str

    def __str__(self) -> str:
        product = f'product "{self.id}": ' if self.id else ""
        return f"line {self.line}: {product}{self.message}"


class CatalogueFile:
    """An open catalogue. Raises CatalogueError unless its header is in order."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._reader = csv.reader(file, strict=True)
        self._header = _header(path, self._reader)

    @property
    def unused_columns(self) -> tuple[str, ...]:
        return tuple(name for name in self._header if name not in COLUMNS)

    def rows(self) -> Iterator[Row | Rejection]:
        """Every row that is not blank, once."""
        while True:
            line = self._reader.line_num + 1
            try:
                fields = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield _rejected(line, f"not valid CSV up to line {self._reader.line_num}: {error}")
                continue
            if fields:
                yield self._row(line, fields)

    def _row(self, line: int, fields: Sequence[str]) -> Row | Rejection:
        if len(fields) != len(self._header):
            return _rejected(line, f"{len(fields)} fields where the header has {len(self._header)}")
        cells = dict(zip(self._header, (field.strip() for field in fields), strict=True))
        if flaw := _text_flaw(cells.items()):
            return _rejected(line, flaw, "" if _text_flaw([("id", cells["id"])]) else cells["id"])
        if not cells["id"]:
            return _rejected(line, "no id")
        if not cells["image"]:
            return _rejected(line, "no image", cells["id"])
        try:
            region = parse_region(cells["region"]) if cells.get("region") else None
            return Row(line, _product(cells), cells["image"], region)
        except ValueError as error:
            return _rejected(line, str(error), cells["id"])


def open_catalogue(path: Path) -> TextIO:
    """Bytes that are not UTF-8 are kept apart as surrogates, so that only their own row is rejected."""
    try:
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise CatalogueError(f"cannot read {path}: {error.strerror}") from error


def _header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise CatalogueError(f"{path}: the header is not valid CSV: {error}") from error
    if not header:
        raise CatalogueError(f"{path} is empty: its first line must name the columns {','.join(COLUMNS)}")
    if flaw := _text_flaw((f"column {number}", name) for number, name in enumerate(header, 1)):
        raise CatalogueError(f"{path}: the header has {flaw}; save the file as CSV in UTF-8")
    if missing := [name for name in REQUIRED_COLUMNS if name not in header]:
        flaw = f"the header has no column {' and no '.join(missing)}; found {','.join(header)}"
        raise CatalogueError(f"{path}: {flaw}{_separator_hint(header)}")
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise CatalogueError(f"{path}: columns named more than once: {','.join(doubled)}")
    return header


def _separator_hint(header: Sequence[str]) -> str:
    used = [name for separator, name in _OTHER_SEPARATORS.items() if separator in header[0]]
    return f" (its fields are separated by {used[0]}: save the file with commas)" if used else ""


def _text_flaw(cells: Iterable[tuple[str, str]]) -> str:
    for column, cell in cells:
        if any("\udc80" <= char <= "\udcff" for char in cell):
            return f"bytes that are not UTF-8 in {column}"
        if "\0" in cell:
            return f"a NUL character in {column}"
    return ""


def _product(cells: dict[str, str]) -> Product:
    texts = {name: cells.get(name, "") for name in _TEXTS}
    return Product(cells["id"], price=_price(cells.get("price", "")), **texts)


def _price(text: str) -> float | None:
    if text and not _PRICE.fullmatch(text):
        raise ValueError(f"price {text!r} is not a number such as 19.90")
    if text.startswith("-"):
        raise ValueError(f"price {text} is below 0")
    return float(text) if text else None


def _rejected(line: int, message: str, product_id: str = "") -> Rejection:
    return Rejection(line, product_id, Reason.INVALID_PRODUCT, message)
