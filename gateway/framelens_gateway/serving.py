"""What answers a search: the engines, and the collection that holds vectors of their space."""

from dataclasses import dataclass
from typing import Protocol

from framelens_gateway.aliases import Aliases
from framelens_gateway.index import Collection
from framelens_gateway.recognizer import RECOGNIZER
from framelens_gateway.routing import Route


@dataclass(frozen=True)
class Serving:
    """Models by name, and one collection; `embedder` is a build of the collection's space."""

    collection: Collection
    embedder: str
    detector: str
    recognizer: str = RECOGNIZER


class Servings(Protocol):
    """Says what answers now. Raises Unavailable."""

    async def serving(self) -> Serving: ...


class LiveServings:
    """The collection behind the alias `products`, embedded by its own space, and the detector."""

    def __init__(self, aliases: Aliases, detector: str) -> None:
        self._aliases, self._detector = aliases, detector

    async def serving(self) -> Serving:
        collection = await self._aliases.collection(Route.PRODUCTS)
        return Serving(collection, collection.space, self._detector)
