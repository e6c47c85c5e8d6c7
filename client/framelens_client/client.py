"""The blocking client."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, cast

import grpc

from framelens_client import channel, errors
from framelens_client.calls import Call, Calls
from framelens_client.health import SERVICES, Health, health_of
from framelens_client.results import (
    Box,
    Deletion,
    Filter,
    ProductPage,
    ProductUpdate,
    ProductUpsert,
    Recognition,
    RegionSearch,
    StoredProduct,
    Upsert,
    UpsertResult,
)
from framelens_client.settings import Connection, Retries, Timeouts
from framelens_client.trials import Bounds, Trial

Result = TypeVar("Result")


class Client:
    """Calls a FrameLens gateway; safe to share between threads. Every method raises FrameLensError.

    A `timeout_s` replaces the client's default and covers the whole call, retries included. `picture` is an encoded
    picture or the path of one.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (frozen)
        retries: Retries = Retries(),  # noqa: B008 (frozen)
    ) -> None:
        self._connection = Connection(address, token, credentials)
        self._calls = Calls(timeouts, retries)
        self._channel = (
            grpc.secure_channel(address, credentials, channel.OPTIONS)
            if credentials
            else grpc.insecure_channel(address, channel.OPTIONS)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; calls in flight fail with Cancelled."""
        self._channel.close()

    def recognize(
        self,
        picture: bytes | Path,
        *,
        top_k: int | None = None,
        min_score: float | None = None,
        filter: Filter | None = None,  # noqa: A002 (the contract's word)
        min_object_score: float | None = None,
        max_objects: int | None = None,
        key: str = "",
        timeout_s: float | None = None,
    ) -> Recognition:
        """Finds the objects in a frame and the matches of each.

        `key` says whose request it is, such as a user's id: in a canary, one key is answered by the same engines.
        """
        content = _content(picture)
        call = self._calls.recognize(content, top_k, min_score, filter, min_object_score, max_objects, key)
        return self._send(call, timeout_s)

    def search_region(
        self,
        picture: bytes | Path,
        region: Box,
        *,
        top_k: int | None = None,
        min_score: float | None = None,
        filter: Filter | None = None,  # noqa: A002 (the contract's word)
        page_token: str = "",
        key: str = "",
        timeout_s: float | None = None,
    ) -> RegionSearch:
        """Searches exactly this region; `page_token` of an earlier answer asks for the matches that follow."""
        call = self._calls.search_region(_content(picture), region, top_k, min_score, filter, page_token, key)
        return self._send(call, timeout_s)

    def upsert_products(self, products: Iterable[ProductUpsert], *, timeout_s: float | None = None) -> Upsert:
        """Adds or replaces 1 to 64 products; the answer says for each whether it is stored."""
        return self._send(self._calls.upsert_products(tuple(products)), timeout_s)

    def update_products(
        self, updates: Iterable[ProductUpdate], *, timeout_s: float | None = None
    ) -> tuple[UpsertResult, ...]:
        """Changes 1 to 1000 stored products without their pictures; one result for each, in their order."""
        return self._send(self._calls.update_products(tuple(updates)), timeout_s)

    def delete_products(self, ids: Iterable[str], *, timeout_s: float | None = None) -> Deletion:
        """Deletes 1 to 1000 products."""
        return self._send(self._calls.delete_products(tuple(ids)), timeout_s)

    def get_product(self, product_id: str, *, timeout_s: float | None = None) -> StoredProduct:
        """Raises NotFound."""
        return self._send(self._calls.get_product(product_id), timeout_s)

    def list_products(
        self,
        *,
        filter: Filter | None = None,  # noqa: A002 (the contract's word)
        page_size: int | None = None,
        page_token: str = "",
        timeout_s: float | None = None,
    ) -> ProductPage:
        """One page of 1 to 1000 products."""
        return self._send(self._calls.list_products(filter, page_size, page_token), timeout_s)

    def all_products(
        self,
        *,
        filter: Filter | None = None,  # noqa: A002 (the contract's word)
        page_size: int | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[StoredProduct]:
        """Products of all pages, fetched as they are needed; `timeout_s` is for each page."""
        page_token = ""
        while True:
            page = self.list_products(filter=filter, page_size=page_size, page_token=page_token, timeout_s=timeout_s)
            yield from page.products
            page_token = page.next_page_token
            if not page_token:
                return

    def start_trial(
        self,
        kind: str,
        share: float,
        *,
        engine: str | None = None,
        space: str | None = None,
        bounds: Bounds | None = None,
        timeout_s: float | None = None,
    ) -> Trial:
        """Tries a candidate on the gateway that answers: `kind` is shadow or canary, `space` is next.

        Raises NotFound where the candidate is not there, ValueError unless exactly one is named.
        """
        return self._send(self._calls.start_trial(kind, share, engine, space, bounds), timeout_s)

    def stop_trial(self, *, timeout_s: float | None = None) -> Trial:
        """Ends the trial at once."""
        return self._send(self._calls.stop_trial(), timeout_s)

    def trial(self, *, timeout_s: float | None = None) -> Trial:
        """The trial that is running, or else the last one."""
        return self._send(self._calls.trial(), timeout_s)

    def health(self, *, timeout_s: float | None = None) -> Health:
        """What the gateway says of itself now; never retried. Raises Unreachable."""
        return health_of(self._send(self._calls.health(service), timeout_s) for service in SERVICES)

    def _send(self, call: Call[Result], timeout_s: float | None) -> Result:
        deadline = time.monotonic() + (call.timeout_s if timeout_s is None else timeout_s)
        attempt = 1
        while True:
            try:
                return call.result(*self._attempt(call, deadline - time.monotonic()))
            except grpc.RpcError as failure:
                error = errors.of_call(cast(errors.FailedCall, failure))
                delay = call.retries.next_delay(attempt, error, deadline - time.monotonic())
                if delay is None:
                    raise error from failure
            time.sleep(delay)
            attempt += 1

    def _attempt(self, call: Call[Result], timeout_s: float) -> tuple[object, ...]:
        """What the call's result is made of."""
        send = self._channel.unary_unary(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.answer.FromString,
        )
        answer, sent = send.with_call(call.request, timeout=timeout_s, metadata=self._connection.metadata)
        return (answer, sent.trailing_metadata()) if call.reads_trailers else (answer,)


def _content(picture: bytes | Path) -> bytes:
    return picture.read_bytes() if isinstance(picture, Path) else picture
