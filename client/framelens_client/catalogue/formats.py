"""The formats of a catalogue, and which of them a file has."""

import csv
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, Protocol, TextIO

from framelens_client.catalogue.csv_rows import CatalogueFile, open_text
from framelens_client.catalogue.google_rows import GoogleRows, is_header
from framelens_client.catalogue.json_rows import JsonLines
from framelens_client.catalogue.parquet_rows import ParquetRows
from framelens_client.catalogue.rows import Rejection, Row
from framelens_client.errors import CatalogueError

Format = Literal["csv", "jsonl", "parquet", "google"]
_BY_SUFFIX: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_PARQUET_MAGIC = b"PAR1"


class CatalogueRows(Protocol):
    """A catalogue in any format."""

    def rows(self) -> Iterator[Row | Rejection]:
        """Every row once; one may be a product's picture, or an object that has several."""
        ...

    @property
    def unused_columns(self) -> tuple[str, ...]:
        """Known once the rows were read."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What else was left out, in sentences; known once the rows were read."""
        ...


@contextmanager
def opened(path: Path, images: Path, form: Format | None = None) -> Iterator[CatalogueRows]:
    """`form` None tells it by the file's name and content. Raises CatalogueError."""
    form = form or format_of(path)
    if form == "parquet":
        with closing(ParquetRows(path)) as parquet:
            yield parquet
        return
    with open_text(path) as file:
        yield _text_rows(form, path, file, images)


def format_of(path: Path) -> Format:
    """By the suffix and, where that says nothing, by how the file begins. Raises CatalogueError."""
    if form := _BY_SUFFIX.get(path.suffix.lower()):
        return form
    try:
        with path.open("rb") as raw:
            if raw.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC:
                return "parquet"
    except OSError as error:
        raise CatalogueError(f"cannot read {path}: {error.strerror}") from error
    with open_text(path) as file:
        return "google" if _begins_as_google(file) else "csv"


def _begins_as_google(file: TextIO) -> bool:
    try:
        first = next(csv.reader(file), [])
    except csv.Error:  # its reader says where and why
        return False
    return is_header(first) or any(field.strip().startswith("gs://") for field in first[:1])


def _text_rows(form: Format, path: Path, file: TextIO, images: Path) -> CatalogueRows:
    if form == "jsonl":
        return JsonLines(file)
    return GoogleRows(file, images) if form == "google" else CatalogueFile(path, file)
