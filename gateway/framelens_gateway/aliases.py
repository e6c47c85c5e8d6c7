"""Which collection answers for a route, made on first need."""

import asyncio

from framelens_gateway.index import Collection, Index
from framelens_gateway.recognizer import Recognizer
from framelens_gateway.routing import Route


class Aliases:
    """The live names, and the collections behind them."""

    def __init__(self, index: Index, recognizer: Recognizer, default_space: str) -> None:
        self._index = index
        self._recognizer = recognizer
        self._default_space = default_space
        self._creating = asyncio.Lock()

    async def collection(self, route: Route) -> Collection:
        """The collection behind a route's alias; an empty one in the default space where there is none yet.

        Raises Unavailable where Milvus cannot be reached, or the default space is not loaded.
        """
        return await self._index.resolve(route) or await self._create(route)

    async def written(self, route: Route) -> list[Collection]:
        """The collections that a write to a route has to reach, the live one first, as they are at this moment.

        Raises what `collection` raises.
        """
        while not (found := await self._index.written(route)):
            await self._create(route)
        return found

    async def _create(self, route: Route) -> Collection:
        async with self._creating:
            collection = await self._index.resolve(route)
            if collection is None:
                size = await self._recognizer.embedding_size(self._default_space)
                collection = await self._index.create(route, self._default_space, size)
            return collection
