"""The seam to the vector index: collections behind aliases, each of one embedding space, in Milvus.

Only what every Milvus has is used (Milvus Lite, standalone, cluster, GPU index): float32 vectors of length 1, inner
product, explicit output fields, explicit load, a named consistency level.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import grpc
import numpy as np
import numpy.typing as npt
from pymilvus import DataType, MilvusClient, MilvusException

from framelens_client.reasons import Reason
from framelens_gateway.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
Row = dict[str, Any]
Vector = npt.NDArray[np.float32]

# Longest values in bytes, as Milvus counts them.
FIELD_BYTES = {
    "product_id": 256,
    "title": 1024,
    "url": 2048,
    "merchant": 256,
    "category": 256,
    "currency": 8,
    "picture_id": 64,
}
_ROW_ID_BYTES = FIELD_BYTES["product_id"] + 8
_SPACE_PROPERTY = "framelens.space"
_INDEX_PARAMETERS: dict[str, dict[str, int]] = {
    "HNSW": {"M": 16, "efConstruction": 200},
    "IVF_FLAT": {"nlist": 128},
    "IVF_SQ8": {"nlist": 128},
}
PRODUCT_FIELDS = (*FIELD_BYTES, "row_id", "ordinal", "price", "x_min", "y_min", "x_max", "y_max", "updated_at")
# By itself gRPC waits up to 120 s before it connects again, which would outlast an outage by as much.
# Pings are few, and only during calls: Milvus Lite hangs up on clients that ping more often than it allows.
_CHANNEL = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_permit_without_calls": 0,
}
_CONNECT_TIMEOUT_S = 2
# While Milvus is away, calls fail at once for this long after a failed connection, so that none queues for its own.
_PAUSE_AFTER_FAILURE_S = 0.2
_CONNECT_FAILED = 2
# Milvus' "invalid parameter", and Milvus Lite's.
_INVALID_CODES = (1100, 6)
_LOAD_TIMEOUT_S = 60
_NOT_FOUND_CODES = (100, 1600)
_NOT_LOADED = 101


@dataclass(frozen=True)
class Collection:
    """A collection behind an alias, and the space of its vectors."""

    name: str
    space: str
    size: int

    def check_size(self, vector: Vector) -> None:
        """Raises Unavailable where a vector cannot be of the collection's space."""
        if vector.size != self.size:
            raise Unavailable(
                Reason.SPACE_MISMATCH,
                f"{self.space} answers with {vector.size} dimensions and collection {self.name} has {self.size}; "
                "the collection is not of this space",
            )


@dataclass(frozen=True)
class Hit:
    score: float
    row: Row = field(default_factory=dict)


class Index(Protocol):
    """Raises Unavailable where the index cannot be reached or the alias cannot be served."""

    async def resolve(self, alias: str) -> Collection | None: ...

    async def create(self, alias: str, space: str, size: int) -> Collection: ...

    async def search(
        self, collection: str, vectors: Sequence[Vector], limit: int, expression: str
    ) -> list[list[Hit]]: ...

    async def query(self, collection: str, expression: str, limit: int) -> list[Row]: ...

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None: ...

    async def delete(self, collection: str, expression: str) -> None: ...

    async def flush(self, collection: str) -> None: ...

    async def ready(self) -> bool: ...


class MilvusIndex:
    """Milvus, Milvus Lite included, through the synchronous client on a few threads."""

    def __init__(self, uri: str, token: str, index_type: str, timeout_s: float, alias_ttl_s: float) -> None:
        # pymilvus logs each failed call with its traceback; here a failure is raised, and reported once.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self._uri, self._token, self._timeout_s = uri, token, timeout_s
        self._index_type, self._alias_ttl_s = index_type, alias_ttl_s
        self._client: MilvusClient | None = None
        self._failed_at = -math.inf
        self._connect_error = ""
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="milvus")
        self._aliases: dict[str, tuple[float, Collection]] = {}
        self._alias_reads: dict[str, asyncio.Task[Collection | None]] = {}

    async def resolve(self, alias: str) -> Collection | None:
        """The collection behind an alias, at most `alias_ttl_s` old; None where there is no such alias yet."""
        if alias in self._aliases:
            read_at, collection = self._aliases[alias]
            if time.monotonic() - read_at <= self._alias_ttl_s:
                return collection
        # One reads for all who need it now.
        if alias not in self._alias_reads:
            self._alias_reads[alias] = asyncio.create_task(self._resolve_anew(alias))
            self._alias_reads[alias].add_done_callback(lambda read: self._alias_was_read(alias, read))
        return await asyncio.shield(self._alias_reads[alias])

    async def _resolve_anew(self, alias: str) -> Collection | None:
        started = time.monotonic()
        collection = await self._call(lambda client: self._read_alias(client, alias))
        if collection is None:
            self._aliases.pop(alias, None)
        else:
            self._aliases[alias] = started, collection
        return collection

    def _alias_was_read(self, alias: str, read: "asyncio.Task[Collection | None]") -> None:
        del self._alias_reads[alias]
        if not read.cancelled():
            read.exception()  # Those who waited have raised it; where all have gone, nobody misses it.

    async def create(self, alias: str, space: str, size: int) -> Collection:
        """A new, empty collection of a space, with the alias on it. Another gateway may do the same at once."""
        name = f"{alias}__{space}"
        started = time.monotonic()
        collection = await self._call(lambda client: self._create(client, alias, name, space, size))
        self._aliases[alias] = started, collection
        return collection

    async def search(self, collection: str, vectors: Sequence[Vector], limit: int, expression: str) -> list[list[Hit]]:
        found = await self._call_loaded(
            collection,
            lambda client: client.search(
                collection,
                data=list(vectors),
                filter=expression,
                limit=limit,
                output_fields=list(PRODUCT_FIELDS),
                search_params={"metric_type": "IP", "params": _search_parameters(self._index_type, limit)},
                consistency_level="Strong",
                timeout=self._timeout_s,
            ),
        )
        return [[Hit(float(hit["distance"]), dict(hit["entity"])) for hit in hits] for hits in found]

    async def query(self, collection: str, expression: str, limit: int) -> list[Row]:
        """Rows without their vectors, in the order of `row_id`."""
        found = await self._call_loaded(
            collection,
            lambda client: client.query(
                collection,
                filter=expression,
                limit=limit,
                output_fields=list(PRODUCT_FIELDS),
                consistency_level="Strong",
                timeout=self._timeout_s,
                # What pymilvus's own iterator sends: the rows come in the order of the primary key.
                iterator="True",
                reduce_stop_for_best="True",
            ),
        )
        return [dict(row) for row in found]

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        await self._call_loaded(
            collection, lambda client: client.upsert(collection, data=list(rows), timeout=self._timeout_s)
        )

    async def delete(self, collection: str, expression: str) -> None:
        await self._call_loaded(
            collection, lambda client: client.delete(collection, filter=expression, timeout=self._timeout_s)
        )

    async def flush(self, collection: str) -> None:
        await self._call(lambda client: client.flush(collection, timeout=60))

    async def ready(self) -> bool:
        try:
            await self._call(lambda client: client.get_server_version(timeout=2))
        except Unavailable:
            return False
        return True

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        if self._client is not None:
            self._client.close()

    async def _call_loaded(self, collection: str, work: Callable[[MilvusClient], T]) -> T:
        """A Milvus that was restarted has its collections released: then it is loaded, and asked again once."""

        def ask(client: MilvusClient) -> T:
            try:
                return work(client)
            except MilvusException as error:
                if error.code != _NOT_LOADED:
                    raise
                log.info("loading collection %s, which Milvus has released", collection)
                client.load_collection(collection, timeout=_LOAD_TIMEOUT_S)
                return work(client)

        return await self._call(ask)

    async def _call(self, work: Callable[[MilvusClient], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._guarded, work)

    def _guarded(self, work: Callable[[MilvusClient], T]) -> T:
        """Runs on a thread. A connection that broke is dropped, so that the next call makes a new one.

        What Milvus calls an invalid request is a fault of the gateway, and stays the MilvusException that it is.
        """
        client = None
        try:
            client = self._connected()
            return work(client)
        except (MilvusException, grpc.RpcError) as error:
            if client is not None and _is_connection_failure(error):
                self._drop(client)
            if _is_invalid_request(error):
                raise
            # The collection may be gone because its alias was switched.
            self._aliases.clear()
            raise Unavailable(Reason.MILVUS_UNAVAILABLE, f"Milvus at {self._uri} failed: {_said(error)}") from error

    def _connected(self) -> MilvusClient:
        with self._lock:
            client = self._client = self._client or self._connect()
            return client

    def _connect(self) -> MilvusClient:
        if time.monotonic() - self._failed_at < _PAUSE_AFTER_FAILURE_S:
            raise MilvusException(_CONNECT_FAILED, self._connect_error)
        try:
            # Dedicated: pymilvus would share a broken connection with the client that replaces it.
            client = MilvusClient(
                self._uri, token=self._token, timeout=_CONNECT_TIMEOUT_S, dedicated=True, grpc_options=_CHANNEL
            )
        except (MilvusException, grpc.RpcError) as error:
            self._failed_at, self._connect_error = time.monotonic(), _said(error)
            raise
        return client

    def _drop(self, broken: MilvusClient) -> None:
        """Another thread may have dropped it already, and connected anew."""
        with self._lock:
            still_used = self._client is broken
            if still_used:
                self._client = None
        if still_used:
            broken.close()

    def _read_alias(self, client: MilvusClient, alias: str) -> Collection | None:
        try:
            described = client.describe_collection(alias, timeout=self._timeout_s)
        except MilvusException as error:
            if error.code in _NOT_FOUND_CODES:
                return None
            raise
        name, properties = described["collection_name"], described.get("properties", {})
        if _SPACE_PROPERTY not in properties:
            raise Unavailable(
                Reason.SPACE_MISMATCH, f"collection {name} does not say its space; set its property {_SPACE_PROPERTY}"
            )
        size = next(f["params"]["dim"] for f in described["fields"] if f["name"] == "embedding")
        return Collection(name, properties[_SPACE_PROPERTY], int(size))

    def _create(self, client: MilvusClient, alias: str, name: str, space: str, size: int) -> Collection:
        """Each step is left out where it was done: by another gateway, or by one that died half way."""
        wait = self._timeout_s
        _make_unless(
            lambda: client.has_collection(name, timeout=wait),
            lambda: client.create_collection(
                name, schema=_product_schema(client, size), properties={_SPACE_PROPERTY: space}, timeout=wait
            ),
        )
        _make_unless(
            lambda: client.list_indexes(name, timeout=wait),
            lambda: client.create_index(name, self._index(client), timeout=wait),
        )
        client.load_collection(name, timeout=_LOAD_TIMEOUT_S)
        _make_unless(lambda: self._read_alias(client, alias), lambda: client.create_alias(name, alias, timeout=wait))
        log.info("alias %s stands on collection %s in space %s", alias, name, space)
        return self._read_alias(client, alias) or Collection(name, space, size)

    def _index(self, client: MilvusClient) -> Any:  # noqa: ANN401
        indexes = client.prepare_index_params()
        indexes.add_index(
            "embedding",
            index_type=self._index_type,
            metric_type="IP",
            params=_INDEX_PARAMETERS.get(self._index_type, {}),
        )
        return indexes


def _make_unless(found: Callable[[], Any], make: Callable[[], None]) -> None:
    """Makes what is not found; another gateway may make it meanwhile."""
    if found():
        return
    try:
        make()
    except MilvusException:
        if not found():
            raise


def _product_schema(client: MilvusClient, size: int) -> Any:  # noqa: ANN401
    """One row for each reference picture of a product."""
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row_id", DataType.VARCHAR, is_primary=True, max_length=_ROW_ID_BYTES)
    for name, length in FIELD_BYTES.items():
        schema.add_field(name, DataType.VARCHAR, max_length=length)
    schema.add_field("ordinal", DataType.INT32)
    schema.add_field("price", DataType.DOUBLE, nullable=True)
    for name in ("x_min", "y_min", "x_max", "y_max"):
        schema.add_field(name, DataType.FLOAT)
    schema.add_field("updated_at", DataType.DOUBLE)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=size)
    return schema


def _search_parameters(index_type: str, limit: int) -> dict[str, int]:
    """HNSW looks at `ef` candidates, which must not be fewer than the answers."""
    if index_type == "HNSW":
        return {"ef": max(64, limit)}
    return {"nprobe": 16} if index_type.startswith("IVF") else {}


def _said(error: MilvusException | grpc.RpcError) -> str:
    return f"{error.code().name}: {error.details()}" if isinstance(error, grpc.RpcError) else str(error.message)


def _is_connection_failure(error: MilvusException | grpc.RpcError) -> bool:
    """A call that took too long is none: others are under way on the same connection."""
    # pymilvus puts the status of a call that it has given up into its exception's code.
    status = error.code() if isinstance(error, grpc.RpcError) else error.code
    return status in (_CONNECT_FAILED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def _is_invalid_request(error: MilvusException | grpc.RpcError) -> bool:
    return isinstance(error, MilvusException) and (error.is_input_error or error.code in _INVALID_CODES)
