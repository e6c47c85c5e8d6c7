"""Milvus Lite's server with the locks that it lacks: `python -m framelens_gateway.stack.milvus_lite --data-dir=...`.

Its own is written for one caller at a time (3.2.2). A read that meets a flush misses the rows that go to disk, and sees
what they replaced or deleted; a write that meets one may be noted in a log that the flush removes, and is lost with the
process; two writes at once may get one sequence number.
"""

import argparse
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import milvus_lite.db
from fasteners import ReaderWriterLock
from milvus_lite.adapter.grpc.server import run_server
from milvus_lite.engine.collection import Collection

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description="Milvus Lite, safe for several callers; without authentication.")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=19530)
    given = parser.parse_args()
    # Each collection that a data directory has, or gets, is made of what this name stands for.
    milvus_lite.db.Collection = GuardedCollection
    run_server(given.data_dir, given.host, given.port)


def _reading(method: Callable[..., T]) -> Callable[..., T]:
    """Beside other reads and writes, never beside a flush."""

    @wraps(method)
    def guarded(self: "GuardedCollection", *arguments: Any, **named: Any) -> T:  # noqa: ANN401
        with self.flushing.read_lock():
            return method(self, *arguments, **named)

    return guarded


def _writing(method: Callable[..., T]) -> Callable[..., T]:
    """One write or flush at a time."""

    @wraps(method)
    def guarded(self: "GuardedCollection", *arguments: Any, **named: Any) -> T:  # noqa: ANN401
        with self.writing:
            return method(self, *arguments, **named)

    return guarded


class GuardedCollection(Collection):  # type: ignore[misc]
    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        # Opening a collection may flush it.
        self.writing = threading.RLock()
        self.flushing = ReaderWriterLock()
        super().__init__(*arguments, **named)

    get = _reading(Collection.get)
    query = _reading(Collection.query)
    search = _reading(Collection.search)
    _num_entities = _reading(Collection._num_entities)

    insert = _writing(Collection.insert)
    upsert = _writing(Collection.upsert)
    delete = _writing(Collection.delete)
    flush = _writing(Collection.flush)

    def _trigger_flush(self) -> None:
        with self.flushing.write_lock():
            super()._trigger_flush()


if __name__ == "__main__":
    main()
