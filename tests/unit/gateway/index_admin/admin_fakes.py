"""A Milvus in memory as the commands see it, gateways that write to it, and commands that can be killed at any call."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gateway_fakes import SIZE, SPACE, FakeIndex, FakeRecognizer, embedding_in, upsert

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.aliases import Aliases
from framelens_gateway.catalog import Catalog
from framelens_gateway.catalog_writes import CatalogWrites
from framelens_gateway.crops import CropStore
from framelens_gateway.deadline import Deadline
from framelens_gateway.flushing import Flusher
from framelens_gateway.index import Collection, Row
from framelens_gateway.index_admin.admin_index import Described
from framelens_gateway.index_admin.comparison import Bounds
from framelens_gateway.index_admin.filling import CropEmbedder
from framelens_gateway.index_admin.migration import Goal, Migration, Moved
from framelens_gateway.index_admin.retirement import abandon, retire, roll_back
from framelens_gateway.index_admin.roles import Roles
from framelens_gateway.index_admin.spaces import ensure_space
from framelens_gateway.milvus import CollectionGone
from framelens_gateway.product_collection import Plan

NEW = "embedder_new"
NO_BOUNDS = Bounds(min_overlap=0, min_recall=0)


class Killed(BaseException):
    """What kill -9 is to a command: nothing of it runs after this."""


class Life:
    """Ends a command at its n-th call to the world outside, before that call or right after it."""

    def __init__(self, kill_at: int = 0, after: bool = False) -> None:
        self.kill_at, self.after = kill_at, after
        self.calls = 0
        self.ended = ""

    def __call__(self, thing: Any) -> Any:
        return _Mortal(self, thing)

    def _begin(self, name: str) -> bool:
        """Whether the call is the last."""
        if self.ended:
            raise Killed
        self.calls += 1
        last = self.calls == self.kill_at
        if last and not self.after:
            self.ended = name
            raise Killed
        return last

    async def run(self, name: str, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        last = self._begin(name)
        result = await call()
        if last:
            self.ended = name
        if self.ended:
            raise Killed
        return result


class _Mortal:
    def __init__(self, life: Life, thing: Any) -> None:
        self._life, self._thing = life, thing

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._thing, name)
        if name == "all_vectors":
            return method
        return lambda *a, **k: self._life.run(name, lambda: method(*a, **k))


class FakeAdminIndex(FakeIndex):
    def __init__(self, chance: random.Random | None = None) -> None:
        super().__init__()
        self.index_types: dict[str, str] = {}
        self.spaces: dict[str, tuple[str, int]] = {}
        self.owners: dict[str, str] = {}
        self.lite = True
        self._chance = chance
        # Called with the alias and the collection right before an alias moves.
        self.on_point: Callable[[str, str], None] = lambda *_: None

    async def _called(self, method: str, *arguments: Any) -> None:
        await super()._called(method, *arguments)
        for _ in range(self._chance.randint(0, 3) if self._chance else 0):
            await asyncio.sleep(0)
        if method in ("query", "upsert", "delete", "search", "flush") and arguments[0] not in self.rows:
            raise CollectionGone(Reason.MILVUS_UNAVAILABLE, f"{arguments[0]} is not there")

    def add_collection(self, alias: str = "products", space: str = SPACE, size: int = SIZE) -> None:
        super().add_collection(alias, space, size)
        self._know(self.aliases[alias].name, space, size, alias, "HNSW")

    def _know(self, name: str, space: str, size: int, owner: str, index_type: str) -> None:
        self.spaces[name], self.owners[name] = (space, size), owner
        self.index_types.setdefault(name, index_type)
        self.rows.setdefault(name, {})

    async def overview(self) -> list[Described]:
        await self._called("overview")
        standing = {name: [a for a, each in self.aliases.items() if each.name == name] for name in self.rows}
        return [
            Described(
                name, *self.spaces[name], self.index_types[name], self.owners[name], tuple(sorted(standing[name]))
            )
            for name in sorted(self.rows)
        ]

    async def make(self, plan: Plan) -> None:
        await self._called("make", plan.name)
        self._know(plan.name, plan.space, plan.size, plan.alias, plan.index_type)

    async def drop(self, collection: str) -> None:
        await self._called("drop", collection)
        assert collection not in {each.name for each in self.aliases.values()}, "Milvus refuses this"
        self.rows.pop(collection, None)

    async def point(self, alias: str, collection: str) -> None:
        await self._called("point", alias, collection)
        self.on_point(alias, collection)
        self.aliases[alias] = Collection(collection, *self.spaces[collection])

    async def drop_alias(self, alias: str) -> None:
        await self._called("drop_alias", alias)
        self.aliases.pop(alias, None)

    async def count(self, collection: str) -> int:
        await self._called("count", collection)
        return len(self.rows[collection])

    async def stamps(self, collection: str) -> dict[str, float]:
        await self._called("stamps", collection)
        return {row_id: row["updated_at"] for row_id, row in self.rows[collection].items()}

    async def stored(self, collection: str, row_ids: Sequence[str], *, vectors: bool = False) -> list[Row]:
        await self._called("stored", collection, vectors)
        rows = [self.rows[collection][each] for each in row_ids if each in self.rows[collection]]
        return [{k: v for k, v in row.items() if vectors or k != "embedding"} for row in rows]

    async def all_vectors(self, collection: str) -> AsyncIterator[list[Row]]:
        yield list(self.rows[collection].values())

    async def is_lite(self) -> bool:
        return self.lite

    def role(self, name: str) -> str | None:
        collection = self.aliases.get(name)
        return collection.name if collection else None


class Models:
    def __init__(self, recognizer: FakeRecognizer) -> None:
        self.recognizer = recognizer
        self.loaded: list[str] = []

    async def load(self, model: str) -> None:
        self.loaded.append(model)
        self.recognizer.failures.pop(model, None)


class Silence:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def counting(self, what: str, total: int) -> "Silence":
        return self

    def __enter__(self) -> Callable[[int], None]:
        return lambda *_: None

    def __exit__(self, *_: object) -> None: ...


class World:
    """Two gateways over one Milvus, and what they have acknowledged."""

    def __init__(self, folder: Path, chance: random.Random | None = None) -> None:
        self.index = FakeAdminIndex(chance)
        self.index.add_collection()
        self.recognizer = FakeRecognizer()
        self.models = Models(self.recognizer)
        self.crops = CropStore(folder / "crops")
        self.progress = Silence()
        self.queries = 20
        self.flushers = [Flusher(self.index, 60) for _ in range(2)]
        self.gateways = [self._gateway(each) for each in self.flushers]
        # The pictures of each product that is stored; products that are being written are unsettled.
        self.stored: dict[str, tuple[bytes, ...]] = {}
        self.unsettled: set[str] = set()

    def _gateway(self, flusher: Flusher) -> Catalog:
        aliases = Aliases(self.index, self.recognizer, SPACE)
        writes = CatalogWrites(self.recognizer, aliases, self.index, self.crops, flusher, 2048)
        return Catalog(aliases, self.index, writes)

    async def store(self, product: str, *pictures: bytes, gateway: int = 0) -> None:
        self.unsettled.add(product)
        request = pb.UpsertProductsRequest(products=[upsert(product, *pictures)])
        answer = await self.gateways[gateway].upsert(request, Deadline.after(30))
        assert answer.results[0].error.reason == ""
        self.stored[product] = pictures
        self.unsettled.discard(product)

    async def delete(self, product: str, gateway: int = 0) -> None:
        self.unsettled.add(product)
        await self.gateways[gateway].delete(pb.DeleteProductsRequest(ids=[product]), Deadline.after(30))
        self.stored.pop(product, None)
        self.unsettled.discard(product)

    async def fill(self, products: int = 6) -> None:
        for n in range(products):
            await self.store(f"p{n}", *(f"picture {n} {m}".encode() for m in range(1 + n % 3)))

    async def close(self) -> None:
        for catalog in self.gateways:
            await catalog.close()
        for flusher in self.flushers:
            await flusher.close()

    def check(self, collection: str) -> None:
        """The collection has what is acknowledged, all of it and nothing else, in its own space and with its crops."""
        space, _ = self.index.spaces[collection]
        expected = {
            f"{product}\x1f{n:02d}": embedding_in(space, picture)
            for product, pictures in self.stored.items()
            for n, picture in enumerate(pictures)
            if product not in self.unsettled
        }
        rows = {k: row for k, row in self.index.rows[collection].items() if row["product_id"] not in self.unsettled}
        assert sorted(rows) == sorted(expected), collection
        for row_id, vector in expected.items():
            assert np.allclose(rows[row_id]["embedding"], vector, atol=1e-6), (collection, row_id)
            assert self.crops.path(rows[row_id]["picture_id"]).exists(), (collection, row_id)

    def check_all(self) -> None:
        live = self.index.aliases["products"].name
        for collection in {each.name for each in self.index.aliases.values()}:
            self.check(collection)
            stamps = {k: row["updated_at"] for k, row in self.index.rows[collection].items()}
            assert stamps == {k: row["updated_at"] for k, row in self.index.rows[live].items()}

    # The commands, as `move_commands` and `tasks` of framelens_gateway.index_admin run them.

    async def migrate(self, life: Life | None = None, space: str = NEW, bounds: Bounds = NO_BOUNDS) -> Moved:
        index, recognizer, models = self._seen_by(life)
        roles = await Roles.read(index, "products")
        size = SIZE if roles.live.space == space else await ensure_space(recognizer, models, space)
        embedder = CropEmbedder(recognizer, self.crops, 8)
        migration = Migration(index, embedder, bounds, self.queries, self.progress)
        return await migration.run(roles, Goal(space, roles.live.index_type, size), lambda: True)

    async def rebuild(self, life: Life | None = None, index_type: str = "FLAT") -> Moved:
        index, _, _ = self._seen_by(life)
        roles = await Roles.read(index, "products")
        migration = Migration(index, None, NO_BOUNDS, self.queries, self.progress)
        return await migration.run(roles, Goal(roles.live.space, index_type, SIZE), lambda: True)

    async def roll_back(self, life: Life | None = None) -> Any:
        index, _, _ = self._seen_by(life)
        return await roll_back(index, await Roles.read(index, "products"))

    async def retire(self, life: Life | None = None) -> list[str]:
        index, _, _ = self._seen_by(life)
        return await retire(index, await Roles.read(index, "products"), 0)

    async def abandon(self, life: Life | None = None) -> list[str]:
        index, _, _ = self._seen_by(life)
        return await abandon(index, await Roles.read(index, "products"), 0)

    def _seen_by(self, life: Life | None) -> tuple[Any, Any, Any]:
        life = life or Life()
        return life(self.index), life(self.recognizer), life(self.models)
