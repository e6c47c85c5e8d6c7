"""Writes down each rejected row, once, the moment it is known."""

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from framelens_client.catalogue.rows import Rejection
from framelens_client.errors import CatalogueError


class Report:
    """A file of rejections: CSV when its name ends in .csv, else JSON lines."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise CatalogueError(f"cannot write the report {path}: {error.strerror}") from error
        self._write = _csv_writer(self._file) if path.suffix.lower() == ".csv" else _json_writer(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, rejection: Rejection) -> None:
        self._write(rejection)
        self._file.flush()


def _csv_writer(file: TextIO) -> Callable[[Rejection], object]:
    writer = csv.DictWriter(file, [part.name for part in fields(Rejection)])
    writer.writeheader()
    return lambda rejection: writer.writerow(asdict(rejection))


def _json_writer(file: TextIO) -> Callable[[Rejection], object]:
    return lambda rejection: file.write(json.dumps(asdict(rejection), ensure_ascii=False) + "\n")
