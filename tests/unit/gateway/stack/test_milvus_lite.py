"""Milvus Lite's collections with locks: a read or a write that is held up half way, and a flush that comes then."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from milvus_lite.storage.wal import WAL

from framelens_gateway.stack.milvus_lite import GuardedCollection

SCHEMA = CollectionSchema(
    fields=[
        FieldSchema(name="row_id", dtype=DataType.VARCHAR, is_primary=True, max_length=16),
        FieldSchema(name="version", dtype=DataType.INT64),
        FieldSchema(name="embedding", dtype=DataType.FLOAT_VECTOR, dim=2),
    ]
)
# Long enough for a flush that does not wait to have come to its end.
SOON_S = 0.5

WRITTEN = {"replaced": 2, "new": 2, "newer": 2}

Call = Callable[[GuardedCollection], Any]


def row(row_id: str, version: int) -> dict[str, Any]:
    return {"row_id": row_id, "version": version, "embedding": [1.0, 0.0]}


def queried(collection: GuardedCollection) -> dict[str, int]:
    return {each["row_id"]: each["version"] for each in collection.query(None)}


def searched(collection: GuardedCollection) -> dict[str, int]:
    (hits,) = collection.search([[1.0, 0.0]], top_k=10, metric_type="IP")
    return {hit["id"]: hit["entity"]["version"] for hit in hits}


def got(collection: GuardedCollection) -> dict[str, int]:
    return {each["row_id"]: each["version"] for each in collection.get(["replaced", "deleted", "new", "newer"])}


def counted(collection: GuardedCollection) -> int:
    return int(collection.num_entities)


def opened(folder: Path) -> GuardedCollection:
    collection = GuardedCollection("products", str(folder), SCHEMA)
    collection.load()
    return collection


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[GuardedCollection]:
    """Two rows on disk, and in memory what has become of them: one is replaced, one deleted, and two are new."""
    made = opened(tmp_path)
    made.upsert([row("replaced", 1), row("deleted", 1)])
    made.flush()
    made.upsert([row(row_id, version) for row_id, version in WRITTEN.items()])
    made.delete(["deleted"])
    yield made
    made.close()


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[GuardedCollection, type, str, Call], Any]:
    """What a call answers that stops after its first call of a method, until a flush has ended or waits for it."""

    def run(collection: GuardedCollection, owner: type, method: str, call: Call) -> Any:
        half_way, go_on = threading.Event(), threading.Event()
        original = getattr(owner, method)

        def stopping(*arguments: Any, **named: Any) -> Any:
            answer = original(*arguments, **named)
            if not half_way.is_set():
                half_way.set()
                assert go_on.wait(10)
            return answer

        monkeypatch.setattr(owner, method, stopping)
        with ThreadPoolExecutor() as threads:
            answer: Future[Any] = threads.submit(call, collection)
            assert half_way.wait(10)
            flush = threads.submit(collection.flush)
            with pytest.raises(TimeoutError):
                flush.result(SOON_S)
            go_on.set()
            flush.result(10)
            return answer.result(10)

    return run


@pytest.mark.parametrize("read", [queried, searched, got])
def test_a_read_sees_what_was_written_last_though_it_is_flushed_meanwhile(
    collection: GuardedCollection, held_up: Callable[..., Any], read: Call
) -> None:
    assert held_up(collection, GuardedCollection, "_read_snapshot", read) == WRITTEN


def test_rows_are_counted_though_they_are_flushed_meanwhile(
    collection: GuardedCollection, held_up: Callable[..., Any]
) -> None:
    assert held_up(collection, GuardedCollection, "_read_snapshot", counted) == len(WRITTEN)


@pytest.mark.parametrize("write", ["insert", "upsert"])
def test_a_write_is_on_disk_though_a_flush_comes_in_the_middle_of_it(
    collection: GuardedCollection, held_up: Callable[..., Any], tmp_path: Path, write: str
) -> None:
    held_up(collection, WAL, "write_insert", lambda it: getattr(it, write)([row("later", 3)]))
    # As after kill -9: nothing was closed.
    assert queried(opened(tmp_path)) == {**WRITTEN, "later": 3}


def test_a_deletion_is_on_disk_though_a_flush_comes_in_the_middle_of_it(
    collection: GuardedCollection, held_up: Callable[..., Any], tmp_path: Path
) -> None:
    held_up(collection, WAL, "write_delete", lambda it: it.delete(["new", "newer"]))
    assert queried(opened(tmp_path)) == {"replaced": 2}
