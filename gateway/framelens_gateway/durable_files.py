"""Files that are whole or not there, and stay once they are written, whatever dies."""

import logging
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

log = logging.getLogger(__name__)

# Of files that are being written: a young one may be another gateway's, at work in the same directory.
_PREFIX = "tmp"
_ABANDONED_S = 3600


def write_all(contents: dict[Path, bytes]) -> None:
    """Returns once all of them are on disk. Raises OSError."""
    for path, content in contents.items():
        _make(path.parent)
        _write(path, content)
    for folder in {path.parent for path in contents}:
        _sync(folder)


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Removes what writes left behind that were killed; what cannot be removed is logged."""
    try:
        for folder in folders:
            for file in folder.glob(f"{_PREFIX}*"):
                _remove_old(file)
    except OSError as error:
        log.warning("could not remove what killed writes have left: %s", error)


def _remove_old(file: Path) -> None:
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


def _write(path: Path, content: bytes) -> None:
    """Renamed into place, so that no reader sees half of it."""
    with NamedTemporaryFile(dir=path.parent, prefix=_PREFIX, delete=False) as file:
        try:
            file.write(content)
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
