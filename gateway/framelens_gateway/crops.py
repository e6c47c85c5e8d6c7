"""Keeps the crop of every indexed picture, so that moving to a new space never needs the original pictures."""

import asyncio
import hashlib
from pathlib import Path

from framelens_gateway.durable_files import remove_abandoned, write_all


def picture_id(owner: str, crop: bytes) -> str:
    """Names a crop by whose it is and its content, so that no two products share a file."""
    return hashlib.sha256(owner.encode() + b"\0" + crop).hexdigest()[:32]


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
        await asyncio.to_thread(lambda: remove_abandoned(self._directory.glob("??")))

    def path(self, name: str) -> Path:
        return self._directory / name[:2] / f"{name}.jpg"

    def _save(self, crops: dict[str, bytes]) -> None:
        write_all({self.path(name): crop for name, crop in crops.items() if not self.path(name).exists()})

    def _read(self, name: str) -> bytes | None:
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None

    def _delete(self, names: set[str]) -> None:
        for name in names:
            self.path(name).unlink(missing_ok=True)
