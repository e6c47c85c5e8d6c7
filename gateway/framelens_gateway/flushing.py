"""Flushes a collection soon after writes: rows that are not flushed Milvus Lite searches in Python, far slower."""

import asyncio
import logging
import time

from framelens_gateway.errors import Unavailable
from framelens_gateway.index import Index
from framelens_gateway.milvus import CollectionGone

log = logging.getLogger(__name__)

# Writes that never pause are flushed this often, in quiet times.
_LONGEST_WAIT = 10


class Flusher:
    """Waits for a quiet moment after writes, then flushes; a failed flush is tried again."""

    def __init__(self, index: Index, quiet_s: float) -> None:
        self._index = index
        self._quiet_s = quiet_s
        self._last_write: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def wrote(self, collection: str) -> None:
        self._last_write[collection] = time.monotonic()
        if collection not in self._tasks:
            self._tasks[collection] = asyncio.create_task(self._flush_when_quiet(collection))

    async def close(self) -> None:
        """Flushes what is still waiting."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for collection in list(self._last_write):
            try:
                await self._index.flush(collection)
            except Unavailable as error:
                log.warning("could not flush %s at shutdown: %s", collection, error)

    async def _flush_when_quiet(self, collection: str) -> None:
        try:
            while collection in self._last_write:
                await self._quiet(collection)
                await self._flush(collection)
        finally:
            # Whatever ends this, the next write begins anew.
            del self._tasks[collection]

    async def _quiet(self, collection: str) -> None:
        first = time.monotonic()
        while True:
            now = time.monotonic()
            if now - self._last_write[collection] >= self._quiet_s or now - first >= _LONGEST_WAIT * self._quiet_s:
                return
            await asyncio.sleep(self._quiet_s / 4)

    async def _flush(self, collection: str) -> None:
        written = self._last_write[collection]
        try:
            await self._index.flush(collection)
        except CollectionGone:
            log.info("%s is gone and needs no flush", collection)
        except Unavailable as error:
            log.warning("could not flush %s, trying again: %s", collection, error)
            await asyncio.sleep(self._quiet_s)
            return
        if self._last_write[collection] == written:
            del self._last_write[collection]
