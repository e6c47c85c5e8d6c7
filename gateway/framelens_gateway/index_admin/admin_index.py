"""What the commands need of Milvus beyond what the gateway needs: collections and aliases, and every row of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pymilvus import MilvusClient

from framelens_gateway.filters import one_of, quoted
from framelens_gateway.index import Collection, Index, MilvusIndex, Row
from framelens_gateway.product_collection import (
    ALIAS_PROPERTY,
    SPACE_PROPERTY,
    VECTOR_FIELD,
    Plan,
    fields_of,
    index_type_of,
    is_lite,
    missing_fields,
    space_of,
    standing_on,
)

# Milvus answers with 16,384 rows at most.
_STAMPS_PER_PAGE = 10_000
_VECTORS_PER_PAGE = 1000
_DROP_TIMEOUT_S = 60


@dataclass(frozen=True)
class Described:
    """A collection of ours; `owner` is the alias that it was made for."""

    name: str
    space: str
    size: int
    index_type: str
    owner: str
    aliases: tuple[str, ...]
    # Fields that it lacks, because an earlier version has made it.
    missing: tuple[str, ...] = ()

    @property
    def collection(self) -> Collection:
        return Collection(self.name, self.space, self.size, self.missing)


class AdminIndex(Index, Protocol):
    """Raises what Index raises. Making and dropping again what is made or dropped does nothing."""

    async def overview(self) -> list[Described]: ...

    async def make(self, plan: Plan) -> None: ...

    async def drop(self, collection: str) -> None: ...

    async def point(self, alias: str, collection: str) -> None: ...

    async def drop_alias(self, alias: str) -> None: ...

    async def count(self, collection: str) -> int: ...

    async def stamps(self, collection: str) -> dict[str, float]: ...

    async def stored(self, collection: str, row_ids: Sequence[str], *, vectors: bool = False) -> list[Row]: ...

    def all_vectors(self, collection: str) -> AsyncIterator[list[Row]]: ...

    async def is_lite(self) -> bool: ...


class MilvusAdminIndex(MilvusIndex):
    async def overview(self) -> list[Described]:
        """Every collection that says its space, in the order of names."""
        return await self._call(self._overview)

    def _overview(self, client: MilvusClient) -> list[Described]:
        found = []
        for name in sorted(client.list_collections(timeout=self._timeout_s)):
            described = client.describe_collection(name, timeout=self._timeout_s)
            if SPACE_PROPERTY in described.get("properties", {}):
                found.append(self._described(client, described))
        return found

    def _described(self, client: MilvusClient, described: dict[str, Any]) -> Described:
        name, properties = described["collection_name"], described["properties"]
        aliases = client.list_aliases(collection_name=name, timeout=self._timeout_s)["aliases"]
        # Collections of gateways that did not note the alias yet begin with it.
        owner = properties.get(ALIAS_PROPERTY) or name.partition("__")[0]
        self._alias_names[name] = owner
        index_type = index_type_of(client, name, self._timeout_s)
        missing = missing_fields(described)
        return Described(name, *space_of(described), index_type, owner, tuple(sorted(aliases)), missing)

    async def make(self, plan: Plan) -> None:
        """A collection with its index, loaded; what is there of it already is kept."""
        self._alias_names[plan.name] = plan.alias
        await self._call(lambda client: self._complete(client, plan))

    async def drop(self, collection: str) -> None:
        def work(client: MilvusClient) -> None:
            if client.has_collection(collection, timeout=self._timeout_s):
                client.drop_collection(collection, timeout=_DROP_TIMEOUT_S)

        await self._call(work)

    async def point(self, alias: str, collection: str) -> None:
        """Stands an alias on a collection, wherever it stood before."""

        def work(client: MilvusClient) -> None:
            behind = standing_on(client, alias, self._timeout_s)
            if behind is None:
                client.create_alias(collection, alias, timeout=self._timeout_s)
            elif behind != collection:
                client.alter_alias(collection, alias, timeout=self._timeout_s)

        await self._call(work)

    async def drop_alias(self, alias: str) -> None:
        def work(client: MilvusClient) -> None:
            if standing_on(client, alias, self._timeout_s) is not None:
                client.drop_alias(alias, timeout=self._timeout_s)

        await self._call(work)

    async def count(self, collection: str) -> int:
        found = await self._call_loaded(
            collection,
            lambda client: client.query(
                collection,
                filter="",
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=self._timeout_s,
            ),
        )
        return int(found[0]["count(*)"])

    async def stamps(self, collection: str) -> dict[str, float]:
        """`updated_at` of every row."""
        pages = self._pages(collection, ("row_id", "updated_at"), _STAMPS_PER_PAGE)
        return {row["row_id"]: row["updated_at"] async for page in pages for row in page}

    async def stored(self, collection: str, row_ids: Sequence[str], *, vectors: bool = False) -> list[Row]:
        """Those of these rows that are there."""
        fields = (*fields_of(self._alias_of(collection)), *([VECTOR_FIELD] if vectors else []))
        return await self._query(collection, one_of("row_id", row_ids), len(row_ids), fields) if row_ids else []

    def all_vectors(self, collection: str) -> AsyncIterator[list[Row]]:
        """Every row in pages, with its id and vector alone."""
        return self._pages(collection, ("row_id", VECTOR_FIELD), _VECTORS_PER_PAGE)

    async def is_lite(self) -> bool:
        return await self._call(lambda client: is_lite(client, self._timeout_s))

    async def _pages(self, collection: str, fields: Sequence[str], size: int) -> AsyncIterator[list[Row]]:
        """In the order of row_id; a row that is written meanwhile is there before or after its write."""
        last = ""
        while page := await self._query(collection, f"row_id > {quoted(last)}", size, fields):
            yield page
            last = page[-1]["row_id"]
