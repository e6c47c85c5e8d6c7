"""Reads the rows of a catalogue in Parquet, by pyarrow; a row's line is its number in the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from framelens_client.catalogue.object_rows import PICTURES, ObjectRows
from framelens_client.catalogue.rows import COLUMNS, Rejection, Row
from framelens_client.errors import CatalogueError

_ROWS_AT_ONCE = 1024


class ParquetRows:
    """A Parquet file whose columns are named as those of a CSV, or with `pictures`, a list of {image, region}.

    Raises CatalogueError where it cannot be read, lacks a column, or pyarrow is not installed.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise CatalogueError(
                f"{path}: pyarrow is not installed; Parquet needs: pip install 'framelens-client[parquet]'"
            ) from error
        self._path, self._arrow = path, pyarrow
        self._objects = ObjectRows()
        try:
            self._file = parquet.ParquetFile(path)
        except (OSError, pyarrow.ArrowException) as error:
            raise CatalogueError(f"cannot read {path}: {error}") from error
        names = self._file.schema_arrow.names
        if "id" not in names or not {"image", PICTURES} & set(names):
            raise CatalogueError(f"{path}: there must be a column id, and image or {PICTURES}; found {','.join(names)}")
        self._known = [name for name in names if name in (*COLUMNS, PICTURES)]
        self._unknown = tuple(name for name in names if name not in self._known)

    @property
    def unused_columns(self) -> tuple[str, ...]:
        """Once the rows were read."""
        return (*self._unknown, *self._objects.unused_columns)

    def close(self) -> None:
        self._file.close()

    def rows(self) -> Iterator[Row | Rejection]:
        line = 0
        try:
            for batch in self._file.iter_batches(_ROWS_AT_ONCE, columns=self._known):
                for found in self._objects_of(batch):
                    line += 1
                    yield from self._objects.of(line, found)
        except (OSError, self._arrow.ArrowException) as error:
            raise CatalogueError(f"cannot read {self._path} beyond row {line}: {error}") from error

    def _objects_of(self, batch: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        """Floats of 32 bits as they print: 19.9 is not to become 19.899999618."""
        columns = [
            column.cast(self._arrow.string()) if self._arrow.types.is_float32(column.type) else column
            for column in batch.columns
        ]
        found: list[dict[str, Any]] = self._arrow.table(columns, names=batch.schema.names).to_pylist()
        return found
