"""Writes products to every collection that is live or can become it: the live one, the next and the previous.

A write is acknowledged once all of them have it. The aliases are read right before it and once more after it, so that
a collection that comes to stand behind one meanwhile has the write too, either from here or from the command that
fills it, which begins to read the live collection only after its alias stands.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import validation
from framelens_gateway.aliases import Aliases
from framelens_gateway.crops import CropStore, picture_id
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import Unavailable
from framelens_gateway.filters import one_of
from framelens_gateway.flushing import Flusher
from framelens_gateway.gathering import all_or_first_failure
from framelens_gateway.index import Collection, Row, Rows
from framelens_gateway.main_object import MAX_OBJECTS, MIN_SCORE, main_object
from framelens_gateway.milvus import CollectionGone
from framelens_gateway.product_updates import changes_of, updated
from framelens_gateway.recognizer import DETECTOR, Box, Recognition, Recognizer, RecognizerCall
from framelens_gateway.routing import Route

log = logging.getLogger(__name__)

T = TypeVar("T")

# Below every character that an id may have, so that rows are in the order of their products' ids.
_BEFORE_ALL = "\x1f"
# Reference pictures of one call that are embedded at once: enough to fill batches, few enough to leave room for feeds.
_EMBEDDED_AT_ONCE = 8
# Products whose rows are read, changed and written together: with all their vectors, some megabytes.
_UPDATED_AT_ONCE = 64


@dataclass(frozen=True)
class Embedded:
    """A product whose reference pictures have all been embedded, in each space that was known by then."""

    upsert: pb.ProductUpsert
    # The part of each reference picture that shows the product.
    regions: Sequence[Box]
    by_space: dict[str, Sequence[Recognition]]
    # What answered, by model.
    engines: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> Sequence[Recognition]:
        """What names the crops: the same in every collection."""
        return next(iter(self.by_space.values()))


class CatalogWrites:
    """One write at a time; knows nothing of requests and answers."""

    def __init__(
        self,
        recognizer: Recognizer,
        aliases: Aliases,
        index: Rows,
        crops: CropStore,
        flusher: Flusher,
        max_picture_bytes: int,
        detector: str = DETECTOR,
    ) -> None:
        """`detector` finds the main object of reference pictures that come without a region."""
        self._recognizer, self._detector = recognizer, detector
        self._aliases = aliases
        self._index = index
        self._crops = crops
        self._flusher = flusher
        self._max_picture_bytes = max_picture_bytes
        self._embedding = asyncio.Semaphore(_EMBEDDED_AT_ONCE)
        # Writes of one product must not interleave, or it could keep pictures of both, or lose a crop to the other.
        self._writing = asyncio.Lock()
        self._unfinished: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Waits for the writes whose callers have gone."""
        await asyncio.gather(*self._unfinished, return_exceptions=True)

    async def embed(self, upsert: pb.ProductUpsert, collections: Sequence[Collection], deadline: Deadline) -> Embedded:
        """Raises InvalidRequest where a picture cannot be used, Unavailable, DeadlineExceeded."""
        engines: dict[str, str] = {}
        regions = await all_or_first_failure(
            self._region(picture, collections[0], engines, deadline) for picture in upsert.pictures
        )
        embedded = Embedded(upsert, regions, {}, engines)
        for collection in collections:
            await self._embed_for(collection, embedded, deadline)
        return embedded

    async def store(self, products: Sequence[Embedded], deadline: Deadline) -> list[Collection]:
        """The collections that have the products now. Raises DeadlineExceeded where it was not begun, Unavailable."""
        return await self._in_turn(lambda: self._store(products, deadline))

    async def update(self, updates: Sequence[pb.ProductUpdate], deadline: Deadline) -> set[str]:
        """The ids that were there, whose rows say now what the updates say; their vectors and crops stay.

        Raises DeadlineExceeded where it was not begun, Unavailable.
        """
        return await self._in_turn(lambda: self._update(updates, deadline))

    async def delete(self, ids: Sequence[str], deadline: Deadline) -> set[str]:
        """The ids that were there. Raises DeadlineExceeded where it was not begun, Unavailable."""
        return await self._in_turn(lambda: self._delete(ids, deadline))

    async def _embed_for(self, collection: Collection, product: Embedded, deadline: Deadline) -> None:
        if collection.space in product.by_space:
            return
        crops = not product.by_space
        try:
            recognitions = await all_or_first_failure(
                self._embed_picture(picture, region, collection, crops, deadline)
                for picture, region in zip(product.upsert.pictures, product.regions, strict=True)
            )
        except Unavailable as error:
            if crops:
                raise
            raise Unavailable(
                error.reason,
                f"{error.message}; writes go to {collection.name} too, so they need its space {collection.space}: "
                "load it, or see `framelens-index status`",
            ) from error
        product.by_space[collection.space] = recognitions
        for recognition in recognitions:
            product.engines.update(recognition.engines)

    async def _region(
        self, picture: pb.ReferencePicture, collection: Collection, engines: dict[str, str], deadline: Deadline
    ) -> Box:
        """What the picture's region is, or, where it has none, what the main object's is."""
        data = validation.check_picture(picture.picture, self._max_picture_bytes)
        given = validation.reference_region(picture)
        if given is not None:
            return given
        call = RecognizerCall(
            data, collection.space, min_score=MIN_SCORE, max_objects=MAX_OBJECTS, detector=self._detector
        )
        async with self._embedding:
            found = await self._recognizer.recognize(call, deadline)
        engines.update(found.engines)
        return main_object(found.objects)

    async def _embed_picture(
        self, picture: pb.ReferencePicture, region: Box, collection: Collection, crops: bool, deadline: Deadline
    ) -> Recognition:
        call = RecognizerCall(picture.picture, collection.space, regions=(region,), crops=crops)
        async with self._embedding:
            recognition = await self._recognizer.recognize(call, deadline)
        collection.check_size(recognition.objects[0].embedding)
        return recognition

    async def _in_turn(self, write: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """A write that waits for its turn goes with its caller: left behind, such writes would pile up and run late.

        One that has begun is finished whatever its caller does, and keeps its turn until then.
        """
        await self._writing.acquire()
        task = asyncio.ensure_future(write())
        self._unfinished.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, write: "asyncio.Task[Any]") -> None:
        self._writing.release()
        self._unfinished.discard(write)
        if not write.cancelled() and (error := write.exception()):
            log.warning("a write to the catalogue failed: %s", error)

    async def _store(self, products: Sequence[Embedded], deadline: Deadline) -> list[Collection]:
        """Crops first, then rows, then what the products had before: a crash leaves nothing that points nowhere."""
        deadline.remaining("writing")
        now = time.time()
        crops = {_picture_id(product, n): _crop(product, n) for product in products for n in _pictures(product)}
        before: set[str] = set()

        async def replace(collection: Collection) -> None:
            for product in products:
                await self._embed_for(collection, product, deadline)
            rows = [row for product in products for row in _rows(product, collection.space, now)]
            before.update(await self._replace(collection, products, rows))

        await self._crops.save(crops)
        reached = await self._in_each(replace)
        await self._crops.delete(before - crops.keys())
        return reached

    async def _replace(self, collection: Collection, products: Sequence[Embedded], rows: Sequence[Row]) -> set[str]:
        """Puts rows in the place of all that the collection has of their products; the pictures that it had."""
        before = await rows_of(self._index, collection, [product.upsert.product.id for product in products])
        await self._index.upsert(collection.name, rows)
        stale = {row["row_id"] for row in before} - {row["row_id"] for row in rows}
        if stale:
            await self._index.delete(collection.name, one_of("row_id", stale))
        self._flusher.wrote(collection.name)
        return {row["picture_id"] for row in before}

    async def _update(self, updates: Sequence[pb.ProductUpdate], deadline: Deadline) -> set[str]:
        deadline.remaining("writing")
        now = time.time()
        there: dict[str, set[str]] = {}
        # When each row was written, as the first collection says, which is the live one.
        written_at: dict[str, float] = {}

        async def change(collection: Collection) -> None:
            there[collection.name] = set()
            for start in range(0, len(updates), _UPDATED_AT_ONCE):
                changes = {each.id: changes_of(each) for each in updates[start : start + _UPDATED_AT_ONCE]}
                rows = await rows_of(self._index, collection, list(changes), vectors=True)
                changed = [updated(row, changes[row["product_id"]], written_at, now) for row in rows]
                if changed:
                    await self._index.upsert(collection.name, changed)
                    self._flusher.wrote(collection.name)
                there[collection.name].update(row["product_id"] for row in rows)

        live, *_ = await self._in_each(change)
        return there[live.name]

    async def _delete(self, ids: Sequence[str], deadline: Deadline) -> set[str]:
        deadline.remaining("deleting")
        there: dict[str, set[str]] = {}
        pictures: set[str] = set()

        async def remove(collection: Collection) -> None:
            rows = await rows_of(self._index, collection, ids)
            there[collection.name] = {row["product_id"] for row in rows}
            pictures.update(row["picture_id"] for row in rows)
            if rows:
                await self._index.delete(collection.name, one_of("product_id", there[collection.name]))
                self._flusher.wrote(collection.name)

        live, *_ = await self._in_each(remove)
        await self._crops.delete(pictures)
        return there[live.name]

    async def _in_each(self, write: Callable[[Collection], Awaitable[None]]) -> list[Collection]:
        """Runs a write in every collection, and in those that have come to be written meanwhile, until none has."""
        reached: list[Collection] = []
        gone: set[Collection] = set()
        while missing := [each for each in await self._aliases.written(Route.PRODUCTS) if each not in reached]:
            for collection in missing:
                try:
                    await write(collection)
                except CollectionGone:
                    # Dropped since its alias was read: the next reading says so too, or it is a fault.
                    if collection in gone:
                        raise
                    gone.add(collection)
                else:
                    reached.append(collection)
        return reached


async def rows_of(index: Rows, collection: Collection, ids: Sequence[str], *, vectors: bool = False) -> list[Row]:
    """All rows of these products, in the order of row_id."""
    most = len(ids) * validation.MAX_PICTURES_PER_PRODUCT
    return await index.query(collection.name, one_of("product_id", ids), most, vectors=vectors)


def _pictures(product: Embedded) -> range:
    return range(len(product.first))


def _crop(product: Embedded, ordinal: int) -> bytes:
    return product.first[ordinal].objects[0].crop


def _picture_id(product: Embedded, ordinal: int) -> str:
    return picture_id(product.upsert.product.id, _crop(product, ordinal))


def _rows(embedded: Embedded, space: str, now: float) -> list[Row]:
    product = embedded.upsert.product
    return [
        {
            "row_id": f"{product.id}{_BEFORE_ALL}{ordinal:02d}",
            "product_id": product.id,
            "ordinal": ordinal,
            "title": product.title,
            "url": product.url,
            "merchant": product.merchant,
            "category": product.category,
            "price": product.price if product.HasField("price") else None,
            "currency": product.currency,
            "availability": product.availability,
            "boost": product.boost,
            "picture_id": _picture_id(embedded, ordinal),
            **embedded.first[ordinal].objects[0].box._asdict(),
            "updated_at": now,
            "embedding": embedded.by_space[space][ordinal].objects[0].embedding,
        }
        for ordinal in _pictures(embedded)
    ]
