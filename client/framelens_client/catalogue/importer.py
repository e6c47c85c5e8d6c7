"""Sends a catalogue to the gateway, a few calls at a time, and accounts for every row of it.

A product whose pictures are those that were acknowledged before is updated, which embeds nothing; every other product
that is new or has changed is sent whole.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import grpc

from framelens_client.async_client import AsyncClient
from framelens_client.catalogue.batches import batches
from framelens_client.catalogue.entries import Catalogue, Entry, Image
from framelens_client.catalogue.journal import Journal
from framelens_client.catalogue.rows import Rejection
from framelens_client.errors import (
    Cancelled,
    DeadlineExceeded,
    FrameLensError,
    Overloaded,
    ServerFailed,
    Unauthenticated,
    Unavailable,
    Unreachable,
    of_reason,
)
from framelens_client.reasons import Reason
from framelens_client.results import Product, ProductUpdate, ProductUpsert, ReferencePicture, UpsertResult
from framelens_client.settings import Retries

# One is embedded while the other is written; more would take the permits of other writers.
CALLS_IN_FLIGHT = 2
# Products of one call that updates them.
_UPDATED_AT_ONCE = 256
# Takes a price away.
_NO_PRICE = -1.0

Answer = TypeVar("Answer")

# Failures that pass, and that say nothing about the products: worth waiting for, then the end of the import.
_PASSING = (Unreachable, Unavailable, Overloaded, DeadlineExceeded)
_STOPPING = (*_PASSING, Unauthenticated, Cancelled)
# Products that the gateway failed over one by one, none stored in between: then it is the gateway's fault, not theirs.
_GATEWAYS_FAULT = 3
_PATIENCE = Retries(attempts=1_000_000, first_delay_s=0.2, longest_delay_s=3.0, on=_PASSING)


@dataclass(slots=True)
class Counts:
    """Rows of the catalogue by what became of them."""

    read: int = 0
    stored: int = 0
    unchanged: int = 0
    rejected: int = 0

    @property
    def not_sent(self) -> int:
        return self.read - self.stored - self.unchanged - self.rejected


class Importer:
    """Imports one catalogue, once, and retries what fails for a passing reason for up to `wait_s` at a stretch.

    `on_rejected` is told of each rejected row, once; `on_progress` that `counts` have changed.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        wait_s: float,
        on_rejected: Callable[[Rejection], None],
        on_progress: Callable[[Counts], None],
    ) -> None:
        self.counts = Counts()
        self.stopped_by: FrameLensError | None = None
        self._suspects: list[tuple[Entry, ServerFailed]] = []
        # Ids that the gateway has, as far as they were asked for.
        self._kept: set[str] = set()
        self._journal = journal
        self._wait_s = wait_s
        self._on_rejected = on_rejected
        self._on_progress = on_progress

    async def run(self, client: AsyncClient, catalogue: Catalogue) -> None:
        """Ends early, with `stopped_by` set, when the gateway stays away, refuses the token, or fails over everything.

        `client` should not retry by itself.
        """
        self.counts = Counts(read=catalogue.row_count)
        self._reject(catalogue.rejections)
        try:
            changed = await self._changed(client, catalogue.entries)
            updated = await self._update(client, changed)
        except FrameLensError as error:
            self.stopped_by = error
            return
        waiting = batches(entry for entry in changed if entry.product.id not in updated)
        await asyncio.gather(*(self._send_all(client, waiting) for _ in range(CALLS_IN_FLIGHT)))
        if self._suspects and not self.counts.stored:
            self.stopped_by = self.stopped_by or self._suspects[-1][1]
        self._reject_suspects()

    async def _changed(self, client: AsyncClient, entries: Sequence[Entry]) -> list[Entry]:
        """Entries that the gateway does not have as they are, by the journal and by its own word."""
        acknowledged = [entry for entry in entries if self._journal.has_pictures(entry)]
        self._kept = await self._patiently(lambda: _stored_ids(client)) if acknowledged else set()
        unchanged = {entry.product.id for entry in acknowledged if self._journal.has(entry)} & self._kept
        self.counts.unchanged = sum(len(entry.rows) for entry in entries if entry.product.id in unchanged)
        self._on_progress(self.counts)
        return [entry for entry in entries if entry.product.id not in unchanged]

    async def _update(self, client: AsyncClient, changed: Sequence[Entry]) -> set[str]:
        """Updates those whose pictures the gateway has already; the ids of those that are stored now.

        Any other is sent whole after this, for whatever reason it could not be updated: that call settles it.
        """
        same = [entry for entry in changed if entry.product.id in self._kept and self._journal.has_pictures(entry)]
        done: set[str] = set()
        for start in range(0, len(same), _UPDATED_AT_ONCE):
            batch = same[start : start + _UPDATED_AT_ONCE]
            try:
                results = await self._patiently(lambda: _updated(client, batch))  # noqa: B023
            except _STOPPING:
                raise
            except FrameLensError:
                continue
            for entry, result in zip(batch, results, strict=True):
                if result.error is None:
                    done.add(entry.product.id)
                    self._store(entry)
        return done

    async def _send_all(self, client: AsyncClient, waiting: Iterator[tuple[Entry, ...]]) -> None:
        for batch in waiting:
            if self.stopped_by:
                return
            try:
                await self._settle(client, batch)
            except FrameLensError as error:
                self.stopped_by = self.stopped_by or error

    async def _settle(self, client: AsyncClient, batch: Sequence[Entry]) -> None:
        """Brings each entry to its end, stored or rejected. Raises what stops the import."""
        unsettled = {entry: upsert for entry in batch if (upsert := await self._upsert(entry))}
        try:
            await self._patiently(lambda: self._send(client, unsettled))
        except _STOPPING:
            raise
        except FrameLensError as error:
            if len(unsettled) == 1:
                self._refused(next(iter(unsettled)), error)
                return
            # The call as a whole was refused: find out by whose fault.
            for entry in tuple(unsettled):
                await self._settle(client, [entry])

    def _refused(self, entry: Entry, error: FrameLensError) -> None:
        """A product that was sent alone. Raises the error once it is the gateway's fault."""
        if not isinstance(error, ServerFailed):
            self._reject_entry(entry, error.reason, error.message)
            return
        self._suspects.append((entry, error))
        if len(self._suspects) >= _GATEWAYS_FAULT:
            raise error

    def _reject_suspects(self) -> None:
        """Where others are stored, the gateway fails over these; once it has stopped the import, nothing is known."""
        if self.stopped_by:
            return
        for entry, error in self._suspects:
            self._reject_entry(entry, error.reason, error.message)
        self._suspects.clear()

    async def _upsert(self, entry: Entry) -> ProductUpsert | None:
        try:
            pictures = await asyncio.to_thread(_read_pictures, entry.images)
        except OSError as error:
            message = f"image cannot be read: {error.filename}: {error.strerror}"
            self._reject_entry(entry, Reason.INVALID_PICTURE, message)
            return None
        return ProductUpsert(entry.product, pictures)

    async def _send(self, client: AsyncClient, unsettled: dict[Entry, ProductUpsert]) -> None:
        """Takes entries out of `unsettled` as they are stored or rejected. Raises the failure of one that is left."""
        if not unsettled:
            return
        answer = await client.upsert_products(unsettled.values())
        _check_ids(tuple(unsettled), answer.results)
        passing: FrameLensError | None = None
        for entry, result in zip(tuple(unsettled), answer.results, strict=True):
            error = of_reason(result.error.reason, result.error.message) if result.error else None
            if isinstance(error, _PASSING):
                passing = error
                continue
            del unsettled[entry]
            if error:
                self._reject_entry(entry, error.reason, error.message)
            else:
                self._store(entry)
        if passing:
            raise passing

    async def _patiently(self, attempt: Callable[[], Awaitable[Answer]]) -> Answer:
        count, deadline = 1, 0.0
        while True:
            try:
                return await attempt()
            except FrameLensError as error:
                deadline = deadline or time.monotonic() + self._wait_s
                delay = _PATIENCE.next_delay(count, error, deadline - time.monotonic())
                if delay is None:
                    raise
            await asyncio.sleep(delay)
            count += 1

    def _store(self, entry: Entry) -> None:
        self._journal.add([entry])
        self.counts.stored += len(entry.rows)
        self._on_progress(self.counts)
        self._reject_suspects()

    def _reject_entry(self, entry: Entry, reason: str, message: str) -> None:
        self._reject(entry.rejections(reason, message))

    def _reject(self, rejections: Sequence[Rejection]) -> None:
        for rejection in rejections:
            self.counts.rejected += 1
            self._on_rejected(rejection)
        self._on_progress(self.counts)


async def _updated(client: AsyncClient, entries: Sequence[Entry]) -> tuple[UpsertResult, ...]:
    results = await client.update_products(_update_of(entry.product) for entry in entries)
    _check_ids(entries, results)
    return results


def _update_of(product: Product) -> ProductUpdate:
    """Every field, for the journal does not know which of them has changed."""
    return ProductUpdate(**{**asdict(product), "price": _NO_PRICE if product.price is None else product.price})


async def _stored_ids(client: AsyncClient) -> set[str]:
    return {stored.product.id async for stored in client.all_products(page_size=1000)}


def _read_pictures(images: Sequence[Image]) -> tuple[ReferencePicture, ...]:
    return tuple(ReferencePicture(image.path.read_bytes(), image.region) for image in images)


def _check_ids(sent: Sequence[Entry], results: Sequence[UpsertResult]) -> None:
    if [entry.product.id for entry in sent] != [result.id for result in results]:
        message = "the gateway's answer does not name the products that were sent, in their order"
        raise ServerFailed(message, reason=Reason.INTERNAL, code=grpc.StatusCode.INTERNAL)
