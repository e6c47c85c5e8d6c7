"""Merges concurrent searches into one call to the index: what arrives during a call goes out together after it.

There is no timer: a search alone goes out at once, and batches grow by themselves with the load.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from framelens_gateway.deadline import Deadline
from framelens_gateway.index import Hit, Rows, Vector

# Above this the call itself grows slower than two calls.
_MAX_VECTORS = 64
_AFTER_S = 0.1


class SearchKey(NamedTuple):
    """Searches with the same key can share a call."""

    collection: str
    expression: str
    limit: int


@dataclass(frozen=True)
class _Waiting:
    vectors: Sequence[Vector]
    deadline: Deadline
    answer: "asyncio.Future[list[list[Hit]]]"


class SearchMerger:
    """One call in flight for each key."""

    def __init__(self, index: Rows) -> None:
        self._index = index
        self._waiting: dict[SearchKey, list[_Waiting]] = {}
        self._pumps: set[asyncio.Task[None]] = set()

    async def search(self, key: SearchKey, vectors: Sequence[Vector], deadline: Deadline) -> list[list[Hit]]:
        """The hits of each vector. Raises what the index raises; what nobody waits for any longer is given up."""
        answer: asyncio.Future[list[list[Hit]]] = asyncio.get_running_loop().create_future()
        entry = _Waiting(vectors, deadline, answer)
        if key in self._waiting:
            self._waiting[key].append(entry)
        else:
            self._waiting[key] = [entry]
            pump = asyncio.create_task(self._pump(key))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)
        return await answer

    async def _pump(self, key: SearchKey) -> None:
        try:
            while batch := self._next_batch(key):
                await self._answer(key, batch)
        finally:
            _give_up(self._waiting.pop(key))

    def _next_batch(self, key: SearchKey) -> list[_Waiting]:
        """As many as one call takes; callers that have gone are dropped here, before they cost anything."""
        waiting = [entry for entry in self._waiting[key] if not entry.answer.done()]
        batch: list[_Waiting] = []
        vectors = 0
        for entry in waiting:
            if batch and vectors + len(entry.vectors) > _MAX_VECTORS:
                break
            batch.append(entry)
            vectors += len(entry.vectors)
        self._waiting[key] = waiting[len(batch) :]
        return batch

    async def _answer(self, key: SearchKey, batch: Sequence[_Waiting]) -> None:
        call = asyncio.ensure_future(self._search(key, batch))
        for entry in batch:
            entry.answer.add_done_callback(lambda _: _withdraw(call, batch))
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError:
            call.cancel()
            _give_up(batch)
            raise
        if call.cancelled():
            _give_up(batch)
        elif error := call.exception():
            _fail(batch, error)
        else:
            _hand_out(batch, call.result())

    async def _search(self, key: SearchKey, batch: Sequence[_Waiting]) -> list[list[Hit]]:
        vectors = [vector for entry in batch for vector in entry.vectors]
        left_s = max(entry.deadline.at for entry in batch) - time.monotonic()
        # At their deadlines the callers go by themselves, and are told so rather than that the index has failed.
        return await self._index.search(key.collection, vectors, key.limit, key.expression, max(0, left_s) + _AFTER_S)


def _withdraw(call: "asyncio.Future[list[list[Hit]]]", batch: Sequence[_Waiting]) -> None:
    """Ends a call whose callers have all gone; one that no thread has begun is never sent."""
    if all(entry.answer.done() for entry in batch):
        call.cancel()


def _give_up(batch: Sequence[_Waiting]) -> None:
    for entry in batch:
        entry.answer.cancel()


def _fail(batch: Sequence[_Waiting], error: BaseException) -> None:
    """Every caller of the batch gets the same failure."""
    for entry in batch:
        if not entry.answer.done():
            entry.answer.set_exception(error)


def _hand_out(batch: Sequence[_Waiting], hits: list[list[Hit]]) -> None:
    at = 0
    for entry in batch:
        if not entry.answer.done():
            entry.answer.set_result(hits[at : at + len(entry.vectors)])
        at += len(entry.vectors)
