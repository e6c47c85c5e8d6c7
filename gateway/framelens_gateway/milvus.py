"""A connection to Milvus that outlives Milvus' outages: the synchronous client on a few threads."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import grpc
from pymilvus import MilvusClient, MilvusException

from framelens_client.reasons import Reason
from framelens_gateway.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

LOAD_TIMEOUT_S = 60
# Milvus' "collection not found" and "alias not found".
_NOT_FOUND_CODES = (100, 1600)
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
_NOT_LOADED = 101


class CollectionGone(Unavailable):
    """A collection that is not there, perhaps dropped a moment ago."""


class MilvusConnection:
    """Calls that fail at once while Milvus is away, and that find it again by themselves.

    Raises Unavailable, CollectionGone; what Milvus calls an invalid request stays the MilvusException that it is.
    """

    def __init__(self, uri: str, token: str, timeout_s: float) -> None:
        # pymilvus logs each failed call with its traceback; here a failure is raised, and reported once.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self._uri, self._token = uri, token
        self.timeout_s = timeout_s
        self._client: MilvusClient | None = None
        self._failed_at = -math.inf
        self._connect_error = ""
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="milvus")

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        if self._client is not None:
            self._client.close()

    async def call_loaded(self, collection: str, work: Callable[[MilvusClient], T]) -> T:
        """A Milvus that was restarted has its collections released: then it is loaded, and asked again once."""

        def ask(client: MilvusClient) -> T:
            try:
                return work(client)
            except MilvusException as error:
                if error.code != _NOT_LOADED:
                    raise
                log.info("loading collection %s, which Milvus has released", collection)
                client.load_collection(collection, timeout=LOAD_TIMEOUT_S)
                return work(client)

        return await self.call(ask)

    async def call(self, work: Callable[[MilvusClient], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._guarded, work)

    def _guarded(self, work: Callable[[MilvusClient], T]) -> T:
        """Runs on a thread. A connection that broke is dropped, so that the next call makes a new one."""
        client = None
        try:
            client = self._connected()
            return work(client)
        except (MilvusException, grpc.RpcError) as error:
            if client is not None and _is_connection_failure(error):
                self._drop(client)
            if is_invalid_request(error):
                raise
            failure = CollectionGone if is_not_found(error) else Unavailable
            raise failure(Reason.MILVUS_UNAVAILABLE, f"Milvus at {self._uri} failed: {_said(error)}") from error

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


def is_not_found(error: MilvusException | grpc.RpcError) -> bool:
    return isinstance(error, MilvusException) and error.code in _NOT_FOUND_CODES


def _said(error: MilvusException | grpc.RpcError) -> str:
    return f"{error.code().name}: {error.details()}" if isinstance(error, grpc.RpcError) else str(error.message)


def _is_connection_failure(error: MilvusException | grpc.RpcError) -> bool:
    """A call that took too long is none: others are under way on the same connection."""
    # pymilvus puts the status of a call that it has given up into its exception's code.
    status = error.code() if isinstance(error, grpc.RpcError) else error.code
    return status in (_CONNECT_FAILED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def is_invalid_request(error: MilvusException | grpc.RpcError) -> bool:
    return isinstance(error, MilvusException) and (error.is_input_error or error.code in _INVALID_CODES)
