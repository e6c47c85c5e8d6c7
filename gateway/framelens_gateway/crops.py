"""Keeps the crop of every indexed picture, so that moving to a new space never needs the original pictures."""

import asyncio
import hashlib
import os
from pathlib import Path
from tempfile import NamedTemporaryFile


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

    def path(self, name: str) -> Path:
        return self._directory / name[:2] / f"{name}.jpg"

    def _save(self, crops: dict[str, bytes]) -> None:
        new = {self.path(name): crop for name, crop in crops.items() if not self.path(name).exists()}
        for path, crop in new.items():
            path.parent.mkdir(parents=True, exist_ok=True)
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


def _write(path: Path, crop: bytes) -> None:
    """Renamed into place, so that no reader sees half of it."""
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
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
