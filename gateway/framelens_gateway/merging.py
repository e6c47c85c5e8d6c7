"""Merges concurrent searches into one call to the index: what arrives during a call goes out together after it.

There is no timer: a search alone goes out at once, and batches grow by themselves with the load.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from framelens_gateway.index import Hit, Index, Vector

# Above this the call itself grows slower than two calls.
_MAX_VECTORS = 64


class SearchKey(NamedTuple):
    """Searches with the same key can share a call."""

    collection: str
    expression: str
    limit: int


@dataclass(frozen=True)
class _Waiting:
    vectors: Sequence[Vector]
    answer: "asyncio.Future[list[list[Hit]]]"


class SearchMerger:
    """One call in flight for each key."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._waiting: dict[SearchKey, list[_Waiting]] = {}
        self._pumps: set[asyncio.Task[None]] = set()

    async def search(self, key: SearchKey, vectors: Sequence[Vector]) -> list[list[Hit]]:
        """The hits of each vector. Raises what the index raises."""
        answer: asyncio.Future[list[list[Hit]]] = asyncio.get_running_loop().create_future()
        entry = _Waiting(vectors, answer)
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
            for entry in self._waiting.pop(key):
                entry.answer.cancel()

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

    async def _answer(self, key: SearchKey, batch: list[_Waiting]) -> None:
        vectors = [vector for entry in batch for vector in entry.vectors]
        try:
            hits = await self._index.search(key.collection, vectors, key.limit, key.expression)
        except asyncio.CancelledError:
            for entry in batch:
                entry.answer.cancel()
            raise
        except Exception as error:  # Every caller of the batch gets the same failure.
            for entry in batch:
                if not entry.answer.done():
                    entry.answer.set_exception(error)
            return
        at = 0
        for entry in batch:
            if not entry.answer.done():
                entry.answer.set_result(hits[at : at + len(entry.vectors)])
            at += len(entry.vectors)
