"""The core of Catalog: products with their reference pictures, one row in the index for each picture."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import validation
from framelens_gateway.aliases import Aliases
from framelens_gateway.crops import CropStore, picture_id
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest, NotFound
from framelens_gateway.filters import all_of, filter_expression, one_of, quoted
from framelens_gateway.flushing import Flusher
from framelens_gateway.index import Collection, Index, Row
from framelens_gateway.pages import page_token, position_of
from framelens_gateway.recognizer import Box, Recognition, Recognizer, RecognizerCall
from framelens_gateway.routing import Route

log = logging.getLogger(__name__)

T = TypeVar("T")

# Below every character that an id may have, so that rows are in the order of their products' ids.
_BEFORE_ALL = "\x1f"
_PAGE_KIND = "products"
# Reference pictures of one call that are embedded at once: enough to fill batches, few enough to leave room for feeds.
_EMBEDDED_AT_ONCE = 8


@dataclass(frozen=True)
class _Embedded:
    """A product whose reference pictures have all been embedded."""

    product: pb.Product
    pictures: Sequence[Recognition]


class Catalog:
    """Adds, deletes and lists products; knows neither gRPC nor HTTP."""

    def __init__(
        self,
        recognizer: Recognizer,
        aliases: Aliases,
        index: Index,
        crops: CropStore,
        flusher: Flusher,
        max_picture_bytes: int,
    ) -> None:
        self._recognizer = recognizer
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

    async def upsert(self, request: pb.UpsertProductsRequest, deadline: Deadline) -> pb.UpsertProductsResponse:
        """Stores each product that is sound and reports the others. What is reported as stored survives a crash.

        Raises GatewayError where nothing could be done: Triton or Milvus is away.
        """
        validation.check_count("products", len(request.products), validation.MAX_PRODUCTS_PER_CALL)
        started = time.perf_counter()
        collection = await self._aliases.collection(Route.PRODUCTS)
        seen: set[str] = set()
        outcomes = await _all_or_first_failure(
            self._embed(upsert, collection, seen, deadline) for upsert in request.products
        )
        stored = [outcome for outcome in outcomes if isinstance(outcome, _Embedded)]
        if stored:
            deadline.remaining("writing")
            await self._finish(self._write(collection, stored))
        response = pb.UpsertProductsResponse(
            results=[
                pb.UpsertResult(id=upsert.product.id, error=outcome if isinstance(outcome, pb.RowError) else None)
                for upsert, outcome in zip(request.products, outcomes, strict=True)
            ]
        )
        _describe(response.served, collection, stored, started)
        return response

    async def delete(self, request: pb.DeleteProductsRequest, deadline: Deadline) -> pb.DeleteProductsResponse:
        """Raises GatewayError."""
        ids = validation.product_ids(request.ids)
        deadline.remaining("deleting")
        collection = await self._aliases.collection(Route.PRODUCTS)
        there = await self._finish(self._delete(collection, ids))
        return pb.DeleteProductsResponse(
            deleted=[each for each in ids if each in there], missing=[each for each in ids if each not in there]
        )

    async def get(self, request: pb.GetProductRequest, deadline: Deadline) -> pb.StoredProduct:
        """Raises NotFound, InvalidRequest, Unavailable."""
        wanted = validation.product_id(request.id)
        deadline.remaining("reading")
        collection = await self._aliases.collection(Route.PRODUCTS)
        found = _stored_products(await self._rows_of(collection, [wanted]))
        if not found:
            raise NotFound(f"product {wanted} is not in the catalogue")
        return found[0]

    async def list_products(self, request: pb.ListProductsRequest, deadline: Deadline) -> pb.ListProductsResponse:
        """One page in the order of ids. Raises InvalidRequest, Unavailable."""
        size = validation.page_size(request)
        validation.check_filter(request.filter)
        after = position_of(request.page_token, _PAGE_KIND, str)
        if after is not None:
            validation.product_id(after, Reason.INVALID_PAGE_TOKEN)
        deadline.remaining("reading")
        collection = await self._aliases.collection(Route.PRODUCTS)
        expression = all_of(
            "ordinal == 0", filter_expression(request.filter), f"product_id > {quoted(after)}" if after else ""
        )
        firsts = await self._index.query(collection.name, expression, size + 1)
        page = firsts[:size]
        rows = await self._rows_of(collection, [row["product_id"] for row in page]) if page else []
        return pb.ListProductsResponse(
            products=_stored_products(rows),
            next_page_token=page_token(_PAGE_KIND, page[-1]["product_id"]) if len(firsts) > size else "",
        )

    async def _embed(
        self, upsert: pb.ProductUpsert, collection: Collection, seen: set[str], deadline: Deadline
    ) -> _Embedded | pb.RowError:
        try:
            validation.product(upsert)
            if upsert.product.id in seen:
                raise InvalidRequest(f"product {upsert.product.id} is twice in one call", Reason.INVALID_PRODUCT)
            seen.add(upsert.product.id)
            pictures = await _all_or_first_failure(
                self._embed_picture(picture, collection, deadline) for picture in upsert.pictures
            )
        except InvalidRequest as error:
            return pb.RowError(reason=error.reason, message=error.message)
        return _Embedded(upsert.product, pictures)

    async def _embed_picture(
        self, picture: pb.ReferencePicture, collection: Collection, deadline: Deadline
    ) -> Recognition:
        data = validation.check_picture(picture.picture, self._max_picture_bytes)
        call = RecognizerCall(data, collection.space, regions=(validation.reference_region(picture),), crops=True)
        async with self._embedding:
            recognition = await self._recognizer.recognize(call, deadline)
        collection.check_size(recognition.objects[0].embedding)
        return recognition

    async def _finish(self, write: Coroutine[Any, Any, T]) -> T:
        """A caller that goes away now does not stop a write half way, nor give up its turn to the next."""
        task = asyncio.ensure_future(write)
        self._unfinished.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, write: "asyncio.Task[Any]") -> None:
        self._unfinished.discard(write)
        if not write.cancelled() and (error := write.exception()):
            log.warning("a write to the catalogue failed: %s", error)

    async def _write(self, collection: Collection, products: Sequence[_Embedded]) -> None:
        """Crops first, then rows, then what the products had before: a crash leaves nothing that points nowhere."""
        rows = [row for product in products for row in _rows(product)]
        pictures = [picture for product in products for picture in product.pictures]
        crops = {row["picture_id"]: each.objects[0].crop for row, each in zip(rows, pictures, strict=True)}
        async with self._writing:
            await self._crops.save(crops)
            before = await self._rows_of(collection, [embedded.product.id for embedded in products])
            await self._index.upsert(collection.name, rows)
            written = {row["row_id"] for row in rows}
            stale = [row["row_id"] for row in before if row["row_id"] not in written]
            if stale:
                await self._index.delete(collection.name, one_of("row_id", stale))
            self._flusher.wrote(collection.name)
            await self._crops.delete({row["picture_id"] for row in before} - crops.keys())

    async def _delete(self, collection: Collection, ids: Sequence[str]) -> set[str]:
        """The ids that were there."""
        async with self._writing:
            rows = await self._rows_of(collection, ids)
            there = {row["product_id"] for row in rows}
            if rows:
                await self._index.delete(collection.name, one_of("product_id", there))
                self._flusher.wrote(collection.name)
            await self._crops.delete({row["picture_id"] for row in rows})
            return there

    async def _rows_of(self, collection: Collection, ids: Sequence[str]) -> list[Row]:
        most = len(ids) * validation.MAX_PICTURES_PER_PRODUCT
        return await self._index.query(collection.name, one_of("product_id", ids), most)


async def _all_or_first_failure(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Like asyncio.gather, but the first failure stops the rest and is raised as it is."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _rows(embedded: _Embedded) -> list[Row]:
    product, now = embedded.product, time.time()
    rows = []
    for ordinal, picture in enumerate(embedded.pictures):
        found = picture.objects[0]
        rows.append(
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
                "picture_id": picture_id(product.id, found.crop),
                **found.box._asdict(),
                "updated_at": now,
                "embedding": found.embedding,
            }
        )
    return rows


def _stored_products(rows: Iterable[Row]) -> list[pb.StoredProduct]:
    """Rows in the order of row_id, as products in the same order."""
    by_product: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_product[row["product_id"]].append(row)
    return [_stored_product(pictures) for pictures in by_product.values()]


def _stored_product(rows: Sequence[Row]) -> pb.StoredProduct:
    first = rows[0]
    return pb.StoredProduct(
        product=pb.Product(
            id=first["product_id"],
            title=first["title"],
            url=first["url"],
            merchant=first["merchant"],
            category=first["category"],
            price=first["price"],
            currency=first["currency"],
        ),
        pictures=[
            pb.StoredPicture(picture_id=row["picture_id"], region=pb.Box(**{name: row[name] for name in Box._fields}))
            for row in rows
        ],
        updated_at=first["updated_at"],
    )


def _describe(served: pb.Served, collection: Collection, stored: Sequence[_Embedded], started: float) -> None:
    engines = {
        model: version
        for product in stored
        for picture in product.pictures
        for model, version in picture.engines.items()
    }
    served.engines.extend(pb.Engine(model=model, version=version) for model, version in engines.items())
    served.collections.append(collection.name)
    served.stages_ms["total"] = (time.perf_counter() - started) * 1e3
