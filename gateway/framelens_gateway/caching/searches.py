"""Gives the hits of a vector again until its collection is written to, or a moment has passed."""

from collections.abc import Hashable, Sequence

from cachetools import TTLCache

from framelens_gateway.index import Hit, Row, Rows, Vector
from framelens_gateway.metrics import CacheMetrics

# Of one vector's search, in hits: an answer's own size is not known before.
_MAX_HITS = 100_000


class CachedRows:
    """Remembers hits. A write through it ends what is known of its collection before it is acknowledged.

    Writes of other gateways are not seen here: `ttl_s` is how long they may stay so.
    """

    def __init__(self, index: Rows, ttl_s: float, metrics: CacheMetrics) -> None:
        self._index = index
        self._metrics = metrics
        self._known: TTLCache[Hashable, list[Hit]] = TTLCache(_MAX_HITS, ttl_s, getsizeof=lambda hits: 1 + len(hits))
        # How often each collection was written to; an answer of before a write is not kept after it.
        self._written: dict[str, int] = {}

    async def search(
        self, collection: str, vectors: Sequence[Vector], limit: int, expression: str, timeout_s: float | None = None
    ) -> list[list[Hit]]:
        """Asks the index for those vectors alone whose hits are not known."""
        written = self._written.get(collection, 0)
        keys = [(collection, written, limit, expression, vector.tobytes()) for vector in vectors]
        found = {key: hits for key in keys if (hits := self._known.get(key)) is not None}
        unknown = {key: vector for key, vector in zip(keys, vectors, strict=True) if key not in found}
        self._metrics.count("search", "hit", len(vectors) - len(unknown))
        if unknown:
            self._metrics.count("search", "miss", len(unknown))
            asked = await self._index.search(collection, list(unknown.values()), limit, expression, timeout_s)
            found.update(zip(unknown, asked, strict=True))
            if self._written.get(collection, 0) == written:
                for key in unknown:
                    self._keep(key, found[key])
        return [found[key] for key in keys]

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        try:
            await self._index.upsert(collection, rows)
        finally:
            self._wrote(collection)

    async def delete(self, collection: str, expression: str) -> None:
        try:
            await self._index.delete(collection, expression)
        finally:
            self._wrote(collection)

    async def query(self, collection: str, expression: str, limit: int, *, vectors: bool = False) -> list[Row]:
        return await self._index.query(collection, expression, limit, vectors=vectors)

    def _keep(self, key: Hashable, hits: list[Hit]) -> None:
        if len(hits) < self._known.maxsize:
            self._known[key] = hits

    def _wrote(self, collection: str) -> None:
        self._written[collection] = self._written.get(collection, 0) + 1
