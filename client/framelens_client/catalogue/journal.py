"""Remembers which products a gateway has acknowledged, so that an import goes on where it stopped.

A text file: a first line that says what it is, then a JSON object for each acknowledged product. It is only appended
to. A line torn by a kill is skipped: its product is sent once more, which changes nothing. So is a line of an earlier
version, which has one fingerprint for pictures and fields together.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from framelens_client.catalogue.entries import Entry
from framelens_client.errors import CatalogueError

_FIRST_LINE = '{"framelens_import": 1}'
# Of the pictures, and of the fields.
_FINGERPRINTS = ("fingerprint", "fields")


class Journal:
    """The journal at `path`, as far as it concerns `target`, the gateway it was kept for."""

    def __init__(self, path: Path, target: str, *, restart: bool = False) -> None:
        self.path = path
        self._target = target
        try:
            text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            fresh = restart or _FIRST_LINE.startswith(text)
            self._acknowledged = _acknowledged(path, text, target)
            self._file = path.open("w" if fresh else "a", encoding="utf-8")
        except OSError as error:
            raise CatalogueError(f"cannot keep the import's state in {path}: {error.strerror}; see --state") from error
        if fresh:
            self._acknowledged.clear()
        # The line feed ends a line that a kill may have torn.
        self._file.write(f"{_FIRST_LINE}\n" if fresh else "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def has(self, entry: Entry) -> bool:
        """Whether the entry was acknowledged exactly as it is now."""
        return self._acknowledged.get(entry.product.id) == _fingerprints(entry)

    def has_pictures(self, entry: Entry) -> bool:
        """Whether it was acknowledged with the pictures that it has now, whatever its fields were."""
        acknowledged = self._acknowledged.get(entry.product.id)
        return acknowledged is not None and acknowledged["fingerprint"] == entry.pictures_fingerprint()

    def add(self, entries: Iterable[Entry]) -> None:
        """Survives a kill of this process. A loss of power may take the newest lines: their products are sent again."""
        lines = [
            json.dumps({"target": self._target, "id": entry.product.id, **_fingerprints(entry)}) for entry in entries
        ]
        self._file.write("".join(f"{line}\n" for line in lines))
        self._file.flush()


def _fingerprints(entry: Entry) -> dict[str, str]:
    return {"fingerprint": entry.pictures_fingerprint(), "fields": entry.fields_fingerprint()}


def _acknowledged(path: Path, text: str, target: str) -> dict[str, dict[str, str]]:
    """Fingerprints by product id."""
    first, *lines = text.split("\n")
    if not _FIRST_LINE.startswith(first) or (lines and first != _FIRST_LINE):
        raise CatalogueError(f"{path} is not the journal of an import: name another --state, or remove it")
    acknowledged: dict[str, dict[str, str]] = {}
    for line in lines:
        record = _record(line)
        if record.get("target") == target:
            acknowledged[record["id"]] = {name: record[name] for name in _FINGERPRINTS}
    return acknowledged


def _record(line: str) -> dict[str, str]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) and {"target", "id", *_FINGERPRINTS} <= record.keys() else {}
