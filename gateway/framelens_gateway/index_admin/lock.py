"""Keeps two commands from working on one alias at once."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framelens_gateway.index_admin.errors import Busy


@contextmanager
def only_one(crops_dir: Path, alias: str) -> Iterator[None]:
    """A lock beside the crops: whatever can fill a collection has them mounted. A killed command leaves none behind.

    Raises Busy. Across machines it holds where the file system of the crops has locks, as NFS 4 does.
    """
    crops_dir.mkdir(parents=True, exist_ok=True)
    path = crops_dir / f".framelens-index.{alias}.lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"another framelens-index works on {alias} (lock {path}); wait until it has finished") from error
        yield
