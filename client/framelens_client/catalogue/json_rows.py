"""Reads the rows of a catalogue in JSON Lines: an object on each line."""

import json
from collections.abc import Iterator
from typing import TextIO

from framelens_client.catalogue.object_rows import ObjectRows
from framelens_client.catalogue.rows import Rejection, Row, rejected


class JsonLines:
    """An open file of JSON Lines."""

    notes: tuple[str, ...] = ()

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._objects = ObjectRows()

    @property
    def unused_columns(self) -> tuple[str, ...]:
        """Once the rows were read."""
        return self._objects.unused_columns

    def rows(self) -> Iterator[Row | Rejection]:
        """Those of every line that is not blank."""
        for line, text in enumerate(self._file, 1):
            if not text.strip():
                continue
            try:
                found = json.loads(text)
            except (ValueError, RecursionError) as error:
                yield rejected(line, f"not valid JSON: {error}")
            else:
                yield from self._objects.of(line, found)
