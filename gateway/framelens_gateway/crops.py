"""Keeps the crop of every indexed picture, so that moving to a new space never needs the original pictures."""

import asyncio
import hashlib
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

log = logging.getLogger(__name__)

# Of files that are being written: a young one may be another gateway's, at work in the same directory.
_PREFIX = "tmp"
_ABANDONED_S = 3600


def picture_id(product_id: str, crop: bytes) -> str:
    """Names a crop by its product and its content, so that no two products share a file."""
    return hashlib.sha256(product_id.encode() + b"\0" + crop).hexdigest()[:32]


class CropStore:
    """A directory of JPEGs, `ab/abcdef….jpg`; a file that is there is whole."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def save(self, crops: dict[str, bytes]) -> None:
        """Returns once all of them are on disk."""
        await asyncio.to_thread(self._save, crops)

    async def read(self, name: str) -> bytes | None:
        """None where there is no such crop."""
        return await asyncio.to_thread(self._read, name)

    async def delete(self, names: set[str]) -> None:
        await asyncio.to_thread(self._delete, names)

    async def sweep(self) -> None:
        """Removes what writes left behind that were killed; what cannot be removed is logged."""
        await asyncio.to_thread(self._sweep)

    def path(self, name: str) -> Path:
        return self._directory / name[:2] / f"{name}.jpg"

    def _save(self, crops: dict[str, bytes]) -> None:
        new = {self.path(name): crop for name, crop in crops.items() if not self.path(name).exists()}
        for path, crop in new.items():
            _make(path.parent)
            _write(path, crop)
        for folder in {path.parent for path in new}:
            _sync(folder)

    def _read(self, name: str) -> bytes | None:
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None

    def _delete(self, names: set[str]) -> None:
        for name in names:
            self.path(name).unlink(missing_ok=True)

    def _sweep(self) -> None:
        try:
            for file in self._directory.glob(f"??/{_PREFIX}*"):
                _remove_abandoned(file)
        except OSError as error:
            log.warning("could not remove what killed writes of crops have left: %s", error)


def _remove_abandoned(file: Path) -> None:
    # Another gateway may be at the same, or finish its file now.
    with suppress(FileNotFoundError):
        if file.stat().st_mtime < time.time() - _ABANDONED_S:
            file.unlink()


def _make(folder: Path) -> None:
    """A new folder is on disk once the one that it is in is."""
    if not folder.exists():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _write(path: Path, crop: bytes) -> None:
    """Renamed into place, so that no reader sees half of it."""
    with NamedTemporaryFile(dir=path.parent, prefix=_PREFIX, delete=False) as file:
        try:
            file.write(crop)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).rename(path)
        except BaseException:
            Path(file.name).unlink()
            raise


def _sync(folder: Path) -> None:
    """A rename is on disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
