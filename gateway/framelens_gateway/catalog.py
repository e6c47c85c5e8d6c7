"""The core of Catalog: products with their reference pictures, one row in the index for each picture."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import validation
from framelens_gateway.aliases import Aliases
from framelens_gateway.catalog_writes import CatalogWrites, Embedded, rows_of
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest, NotFound
from framelens_gateway.filters import all_of, filter_expression, quoted
from framelens_gateway.gathering import all_or_first_failure
from framelens_gateway.index import Collection, Index, Row
from framelens_gateway.pages import page_token, position_of
from framelens_gateway.product_collection import ADDED_FIELDS
from framelens_gateway.recognizer import Box
from framelens_gateway.routing import Route

_PAGE_KIND = "products"


class Catalog:
    """Adds, deletes and lists products; knows neither gRPC nor HTTP."""

    def __init__(self, aliases: Aliases, index: Index, writes: CatalogWrites) -> None:
        self._aliases, self._index, self._writes = aliases, index, writes

    async def close(self) -> None:
        """Waits for the writes whose callers have gone."""
        await self._writes.close()

    async def upsert(self, request: pb.UpsertProductsRequest, deadline: Deadline) -> pb.UpsertProductsResponse:
        """Stores each product that is sound and reports the others. What is reported as stored survives a crash.

        Raises GatewayError where nothing could be done: Triton or Milvus is away.
        """
        validation.check_count("products", len(request.products), validation.MAX_PRODUCTS_PER_CALL)
        started = time.perf_counter()
        collections = await self._aliases.written(Route.PRODUCTS)
        seen: set[str] = set()
        outcomes = await all_or_first_failure(
            self._embed(upsert, collections, seen, deadline) for upsert in request.products
        )
        stored = [outcome for outcome in outcomes if isinstance(outcome, Embedded)]
        if stored:
            collections = await self._writes.store(stored, deadline)
        response = pb.UpsertProductsResponse(
            results=[
                pb.UpsertResult(id=upsert.product.id, error=outcome if isinstance(outcome, pb.RowError) else None)
                for upsert, outcome in zip(request.products, outcomes, strict=True)
            ]
        )
        _describe(response.served, collections, stored, started)
        return response

    async def update(self, request: pb.UpdateProductsRequest, deadline: Deadline) -> pb.UpdateProductsResponse:
        """Changes what products say, each for itself, without an engine. Raises GatewayError where Milvus is away."""
        validation.check_count("updates", len(request.updates), validation.MAX_IDS_PER_CALL)
        collections = await self._aliases.written(Route.PRODUCTS)
        seen: set[str] = set()
        flaws = [_update_flaw(update, collections, seen) for update in request.updates]
        sound = [update for update, flaw in zip(request.updates, flaws, strict=True) if flaw is None]
        there = await self._writes.update(sound, deadline) if sound else set()
        return pb.UpdateProductsResponse(
            results=[
                pb.UpsertResult(id=update.id, error=flaw or (None if update.id in there else _absent(update.id)))
                for update, flaw in zip(request.updates, flaws, strict=True)
            ]
        )

    async def delete(self, request: pb.DeleteProductsRequest, deadline: Deadline) -> pb.DeleteProductsResponse:
        """Raises GatewayError."""
        ids = validation.product_ids(request.ids)
        there = await self._writes.delete(ids, deadline)
        return pb.DeleteProductsResponse(
            deleted=[each for each in ids if each in there], missing=[each for each in ids if each not in there]
        )

    async def get(self, request: pb.GetProductRequest, deadline: Deadline) -> pb.StoredProduct:
        """Raises NotFound, InvalidRequest, Unavailable."""
        wanted = validation.product_id(request.id)
        deadline.remaining("reading")
        collection = await self._aliases.collection(Route.PRODUCTS)
        found = _stored_products(await rows_of(self._index, collection, [wanted]))
        if not found:
            raise NotFound(_not_there(wanted))
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
        if request.filter.availabilities:
            collection.check_has(["availability"], Reason.INVALID_FILTER)
        expression = all_of(
            "ordinal == 0", filter_expression(request.filter), f"product_id > {quoted(after)}" if after else ""
        )
        firsts = await self._index.query(collection.name, expression, size + 1)
        page = firsts[:size]
        rows = await rows_of(self._index, collection, [row["product_id"] for row in page]) if page else []
        return pb.ListProductsResponse(
            products=_stored_products(rows),
            next_page_token=page_token(_PAGE_KIND, page[-1]["product_id"]) if len(firsts) > size else "",
        )

    async def _embed(
        self, upsert: pb.ProductUpsert, collections: Sequence[Collection], seen: set[str], deadline: Deadline
    ) -> Embedded | pb.RowError:
        try:
            validation.product(upsert)
            _check_once(upsert.product.id, seen)
            _check_held(upsert.product, collections)
            return await self._writes.embed(upsert, collections, deadline)
        except InvalidRequest as error:
            return pb.RowError(reason=error.reason, message=error.message)


def _update_flaw(update: pb.ProductUpdate, collections: Sequence[Collection], seen: set[str]) -> pb.RowError | None:
    try:
        validation.product_update(update)
        _check_once(update.id, seen)
        _check_held(update, collections)
    except InvalidRequest as error:
        return pb.RowError(reason=error.reason, message=error.message)
    return None


def _check_once(product_id: str, seen: set[str]) -> None:
    if product_id in seen:
        raise InvalidRequest("the product is twice in one call; send it once", Reason.INVALID_PRODUCT)
    seen.add(product_id)


def _check_held(wanted: pb.Product | pb.ProductUpdate, collections: Sequence[Collection]) -> None:
    """Raises InvalidRequest where a collection of an earlier version would lose a value."""
    given = [name for name, nothing in ADDED_FIELDS.items() if getattr(wanted, name) != nothing]
    for collection in collections:
        collection.check_has(given, Reason.INVALID_PRODUCT)


def _absent(product_id: str) -> pb.RowError:
    return pb.RowError(reason=Reason.NOT_FOUND, message=_not_there(product_id))


def _not_there(product_id: str) -> str:
    return f"product {product_id} is not in the catalogue"


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
            availability=first["availability"],
            boost=first["boost"],
        ),
        pictures=[
            pb.StoredPicture(picture_id=row["picture_id"], region=pb.Box(**{name: row[name] for name in Box._fields}))
            for row in rows
        ],
        updated_at=first["updated_at"],
    )


def _describe(served: pb.Served, collections: Sequence[Collection], stored: Sequence[Embedded], started: float) -> None:
    engines = {model: version for product in stored for model, version in product.engines.items()}
    served.engines.extend(pb.Engine(model=model, version=version) for model, version in engines.items())
    served.collections.extend(collection.name for collection in collections)
    served.stages_ms["total"] = (time.perf_counter() - started) * 1e3
