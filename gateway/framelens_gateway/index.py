"""The seam to the vector index: collections behind aliases, each of one embedding space, in Milvus.

An alias is a live name, such as `products`. While it moves to another collection two more stand beside it:
`products__next` on the one that is being filled, `products__previous` on the one to go back to. Reads go to the live
collection alone, writes to all of them, so that each can become the live one at any moment.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from pymilvus import MilvusClient, MilvusException

from framelens_client.reasons import Reason
from framelens_gateway.errors import Unavailable
from framelens_gateway.filters import one_of
from framelens_gateway.index_types import METRIC, IndexSettings
from framelens_gateway.milvus import MilvusConnection, is_not_found
from framelens_gateway.product_collection import (
    ADDED_FIELDS,
    ALIAS_PROPERTY,
    INDEX_TYPE_PROPERTY,
    VECTOR_FIELD,
    Plan,
    complete_collection,
    create_alias,
    fields_of,
    hit_fields_of,
    index_type_of,
    lacking,
    missing_fields,
    space_of,
)
from framelens_gateway.routing import Route

log = logging.getLogger(__name__)

# The most rows that Milvus answers to a query.
_MAX_ROWS = 16384
# The first reference picture of each product.
_ONE_OF_EACH = "ordinal == 0"

T = TypeVar("T")
Row = dict[str, Any]
Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Collection:
    """A collection behind an alias, and the space of its vectors."""

    name: str
    space: str
    size: int
    # Of ADDED_FIELDS, those that it lacks, because an earlier version has made it.
    missing: tuple[str, ...] = ()

    def check_has(self, fields: Iterable[str], reason: Reason) -> None:
        """Raises InvalidRequest where the collection lacks one of these fields of a product."""
        if wanted := [name for name in fields if name in self.missing]:
            raise lacking(self.name, wanted, reason)

    def check_size(self, vector: Vector) -> None:
        """Raises Unavailable where a vector cannot be of the collection's space."""
        if vector.size != self.size:
            raise Unavailable(
                Reason.SPACE_MISMATCH,
                f"{self.space} answers with {vector.size} dimensions and collection {self.name} has {self.size}; "
                "the collection is not of this space",
            )


@dataclass(frozen=True)
class Hit:
    score: float
    row: Row = field(default_factory=dict)


def next_of(alias: str) -> str:
    """The alias of the collection that is being filled to become the live one."""
    return f"{alias}__next"


def previous_of(alias: str) -> str:
    """The alias of the collection that was the live one, and can be again."""
    return f"{alias}__previous"


class Rows(Protocol):
    """What is in collections. Raises Unavailable where the index cannot be reached."""

    async def search(
        self, collection: str, vectors: Sequence[Vector], limit: int, expression: str, timeout_s: float | None = None
    ) -> list[list[Hit]]: ...

    async def query(self, collection: str, expression: str, limit: int, *, vectors: bool = False) -> list[Row]: ...

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None: ...

    async def delete(self, collection: str, expression: str) -> None: ...


class Index(Rows, Protocol):
    """The collections too. Raises Unavailable where the index cannot be reached or the alias cannot be served."""

    async def resolve(self, alias: str) -> Collection | None: ...

    async def written(self, alias: str) -> list[Collection]: ...

    async def create(self, alias: str, space: str, size: int) -> Collection: ...

    async def flush(self, collection: str) -> None: ...

    async def products(self, collection: str) -> int: ...

    async def sample(self, collection: str, most: int) -> list[Vector]: ...

    async def ready(self) -> bool: ...


class MilvusIndex:
    """Milvus, Milvus Lite included: explicit output fields, explicit load, a named consistency level."""

    def __init__(self, uri: str, token: str, new: IndexSettings, timeout_s: float, alias_ttl_s: float) -> None:
        """`new` is of collections that have to be made."""
        self._milvus = MilvusConnection(uri, token, timeout_s)
        self._timeout_s = timeout_s
        self._index, self._alias_ttl_s = new, alias_ttl_s
        # None for an alias that is not there: who has no videos is not asked for them with every frame.
        self._aliases: dict[str, tuple[float, Collection | None]] = {}
        self._alias_reads: dict[str, asyncio.Task[Collection | None]] = {}
        # By collection: an index of another type is searched with other parameters.
        self._index_types: dict[str, str] = {}
        # By collection: the alias that it was made for, which says what its rows hold.
        self._alias_names: dict[str, str] = {}
        # By collection, as its schema says.
        self._missing: dict[str, tuple[str, ...]] = {}

    async def resolve(self, alias: str) -> Collection | None:
        """The collection behind an alias, at most `alias_ttl_s` old; None where there is no such alias yet."""
        if alias in self._aliases:
            read_at, collection = self._aliases[alias]
            age_s = time.monotonic() - read_at
            if age_s <= self._alias_ttl_s:
                if age_s > self._alias_ttl_s / 2:
                    self._alias_read(alias)  # Ahead of time, so that under steady calls nobody waits for it.
                return collection
        return await asyncio.shield(self._alias_read(alias))

    def _alias_read(self, alias: str) -> "asyncio.Task[Collection | None]":
        """One read for all who need it now."""
        if alias not in self._alias_reads:
            self._alias_reads[alias] = asyncio.create_task(self._resolve_anew(alias))
            self._alias_reads[alias].add_done_callback(lambda read: self._alias_was_read(alias, read))
        return self._alias_reads[alias]

    async def _resolve_anew(self, alias: str) -> Collection | None:
        started = time.monotonic()
        collection = await self._call(lambda client: self._read_alias(client, alias))
        self._aliases[alias] = started, collection
        return collection

    def _alias_was_read(self, alias: str, read: "asyncio.Task[Collection | None]") -> None:
        del self._alias_reads[alias]
        if not read.cancelled():
            read.exception()  # Those who waited have raised it; where all have gone, nobody misses it.

    async def written(self, alias: str) -> list[Collection]:
        """The collections that a write to an alias has to reach, the live one first; none where there is no alias.

        Read now, and all at one moment: aliases that change while they are read are read again.
        """
        names = (alias, next_of(alias), previous_of(alias))
        found = await self._call(lambda client: self._read_aliases(client, names))
        while (again := await self._call(lambda client: self._read_aliases(client, names))) != found:
            found = again
        if found[0] is None:
            return []
        return list(dict.fromkeys(collection for collection in found if collection is not None))

    async def create(self, alias: str, space: str, size: int) -> Collection:
        """A new, empty collection of a space, with the alias on it. Another gateway may do the same at once."""
        plan = Plan(f"{alias}__{space}", alias, space, size, self._index.index_type)
        started = time.monotonic()
        collection = await self._call(lambda client: self._create(client, plan))
        self._aliases[alias] = started, collection
        return collection

    async def search(
        self, collection: str, vectors: Sequence[Vector], limit: int, expression: str, timeout_s: float | None = None
    ) -> list[list[Hit]]:
        """`timeout_s` shortens the time that Milvus may take."""

        def ask(client: MilvusClient) -> list[list[Hit]]:
            missing = self._missing_of(client, collection)
            found = client.search(
                collection,
                data=list(vectors),
                filter=expression,
                limit=limit,
                output_fields=[name for name in hit_fields_of(self._alias_of(collection)) if name not in missing],
                search_params={
                    "metric_type": METRIC,
                    "params": self._index.to_search(self._index_type_of(client, collection), limit),
                },
                consistency_level="Strong",
                timeout=self._timeout_s if timeout_s is None else min(self._timeout_s, timeout_s),
            )
            return [[Hit(float(hit["distance"]), _whole(hit["entity"], missing)) for hit in hits] for hits in found]

        return await self._call_loaded(collection, ask)

    async def query(self, collection: str, expression: str, limit: int, *, vectors: bool = False) -> list[Row]:
        """Rows, with or without their vectors, in the order of `row_id`."""
        fields = fields_of(self._alias_of(collection))
        return await self._query(collection, expression, limit, (*fields, VECTOR_FIELD) if vectors else fields)

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        """Raises InvalidRequest where a row has a value for a field that the collection lacks."""

        def write(client: MilvusClient) -> None:
            missing = self._missing_of(client, collection)
            data = [_fitting(collection, row, missing) for row in rows]
            client.upsert(collection, data=data, timeout=self._timeout_s)

        await self._call_loaded(collection, write)

    async def delete(self, collection: str, expression: str) -> None:
        await self._call_loaded(
            collection, lambda client: client.delete(collection, filter=expression, timeout=self._timeout_s)
        )

    async def flush(self, collection: str) -> None:
        await self._call(lambda client: client.flush(collection, timeout=60))

    async def products(self, collection: str) -> int:
        """How many products a collection has."""
        (counted,) = await self._ask(collection, _ONE_OF_EACH, None, ["count(*)"])
        return int(counted["count(*)"])

    async def sample(self, collection: str, most: int) -> list[Vector]:
        """Vectors of up to so many products, one of each, drawn from the first 16,384: Milvus answers no more."""
        rows = await self._ask(collection, _ONE_OF_EACH, _MAX_ROWS, ["row_id"])
        ids = [row["row_id"] for row in rows]
        drawn = random.sample(ids, min(most, len(ids)))
        if not drawn:
            return []
        found = await self._ask(collection, one_of("row_id", drawn), len(drawn), [VECTOR_FIELD])
        return [np.asarray(row[VECTOR_FIELD], np.float32) for row in found]

    async def ready(self) -> bool:
        try:
            await self._call(lambda client: client.get_server_version(timeout=2))
        except Unavailable:
            return False
        return True

    async def close(self) -> None:
        await self._milvus.close()

    async def _query(self, collection: str, expression: str, limit: int, fields: Sequence[str]) -> list[Row]:
        def ask(client: MilvusClient) -> list[Row]:
            missing = [name for name in self._missing_of(client, collection) if name in fields]
            found = client.query(
                collection,
                filter=expression,
                limit=limit,
                output_fields=[name for name in fields if name not in missing],
                consistency_level="Strong",
                timeout=self._timeout_s,
                # What pymilvus's own iterator sends: the rows come in the order of the primary key.
                iterator="True",
                reduce_stop_for_best="True",
            )
            return [_whole(row, missing) for row in found]

        return await self._call_loaded(collection, ask)

    async def _ask(self, collection: str, expression: str, limit: int | None, fields: Sequence[str]) -> list[Row]:
        """Rows in no order that counts."""
        found = await self._call_loaded(
            collection,
            lambda client: client.query(
                collection,
                filter=expression,
                output_fields=list(fields),
                consistency_level="Strong",
                timeout=self._timeout_s,
                **({} if limit is None else {"limit": limit}),
            ),
        )
        return [dict(row) for row in found]

    async def _call(self, work: Callable[[MilvusClient], T]) -> T:
        return await self._forgetting(self._milvus.call(work))

    async def _call_loaded(self, collection: str, work: Callable[[MilvusClient], T]) -> T:
        return await self._forgetting(self._milvus.call_loaded(collection, work))

    async def _forgetting(self, call: Coroutine[Any, Any, T]) -> T:
        """After a failure aliases are read anew: the collection may be gone because its alias was switched."""
        try:
            return await call
        except Unavailable:
            self._aliases.clear()
            raise

    def _complete(self, client: MilvusClient, plan: Plan) -> None:
        complete_collection(client, plan, self._index.to_build(plan.index_type, plan.size), self._timeout_s)

    def _read_alias(self, client: MilvusClient, alias: str) -> Collection | None:
        try:
            described = client.describe_collection(alias, timeout=self._timeout_s)
        except MilvusException as error:
            if is_not_found(error):
                return None
            raise
        collection = Collection(described["collection_name"], *space_of(described), missing_fields(described))
        self._alias_names[collection.name] = described["properties"].get(ALIAS_PROPERTY, Route.PRODUCTS)
        self._missing[collection.name] = collection.missing
        # With every alias: a name may have been given again, to a collection with another index.
        self._index_types.pop(collection.name, None)
        if told := described["properties"].get(INDEX_TYPE_PROPERTY):
            self._index_types[collection.name] = told
        return collection

    def _read_aliases(self, client: MilvusClient, aliases: Sequence[str]) -> list[Collection | None]:
        return [self._read_alias(client, alias) for alias in aliases]

    def _alias_of(self, collection: str) -> str:
        """Collections of an earlier version do not say it, and have products."""
        return self._alias_names.get(collection, Route.PRODUCTS)

    def _index_type_of(self, client: MilvusClient, collection: str) -> str:
        if collection not in self._index_types:
            self._index_types[collection] = index_type_of(client, collection, self._timeout_s)
        return self._index_types[collection]

    def _missing_of(self, client: MilvusClient, collection: str) -> tuple[str, ...]:
        if collection not in self._missing:
            described = client.describe_collection(collection, timeout=self._timeout_s)
            self._missing[collection] = missing_fields(described)
        return self._missing[collection]

    def _create(self, client: MilvusClient, plan: Plan) -> Collection:
        self._complete(client, plan)
        create_alias(client, plan.name, plan.alias, self._timeout_s)
        log.info("alias %s stands on collection %s in space %s", plan.alias, plan.name, plan.space)
        return self._read_alias(client, plan.alias) or Collection(plan.name, plan.space, plan.size)


def _whole(row: Row, missing: Iterable[str]) -> Row:
    """With what the collection does not have."""
    return {**row, **{name: ADDED_FIELDS[name] for name in missing}}


def _fitting(collection: str, row: Row, missing: Sequence[str]) -> Row:
    """Without what the collection cannot have. Raises InvalidRequest where that would be lost."""
    if lost := [name for name in missing if row[name] != ADDED_FIELDS[name]]:
        raise lacking(collection, lost, Reason.INVALID_PRODUCT)
    return {name: value for name, value in row.items() if name not in missing} if missing else row
