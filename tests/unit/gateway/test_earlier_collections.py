"""A collection that was made before availability and boost, on a real Milvus: read, written, and moved from."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from gateway_fakes import SIZE, SPACE, MilvusLite, make_earlier_collection, product_row, unit
from pymilvus import MilvusClient

from framelens_client.reasons import Reason
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.filters import one_of
from framelens_gateway.index import Collection, MilvusIndex
from framelens_gateway.index_admin.admin_index import MilvusAdminIndex
from framelens_gateway.index_admin.comparison import Bounds
from framelens_gateway.index_admin.migration import Goal, Migration
from framelens_gateway.index_admin.roles import Roles
from framelens_gateway.index_admin.state import read_state
from framelens_gateway.index_types import IndexSettings
from framelens_gateway.product_collection import HIT_FIELDS

MISSING = ("availability", "boost")


class Silence:
    def say(self, line: str) -> None: ...

    def counting(self, what: str, total: int) -> "Silence":
        return self

    def __enter__(self) -> Any:
        return lambda *_: None

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def alias() -> str:
    return f"a{uuid4().hex[:8]}"


@pytest.fixture
def earlier(milvus: MilvusLite, alias: str) -> Iterator[str]:
    client = MilvusClient(milvus.uri, dedicated=True)
    make_earlier_collection(client, f"{alias}__{SPACE}", alias)
    yield f"{alias}__{SPACE}"
    client.close()


@pytest.fixture
async def admin(milvus: MilvusLite) -> AsyncIterator[MilvusAdminIndex]:
    real = MilvusAdminIndex(milvus.uri, "", IndexSettings("HNSW"), 5, 0.2)
    yield real
    await real.close()


async def test_what_it_lacks_reads_as_nothing(milvus_index: MilvusIndex, earlier: str, alias: str) -> None:
    await milvus_index.upsert(earlier, [product_row(f"p{n}", vector=unit(1, n)) for n in range(3)])
    assert await milvus_index.resolve(alias) == Collection(earlier, SPACE, SIZE, MISSING)
    rows = await milvus_index.query(earlier, one_of("product_id", ["p0", "p1"]), 9, vectors=True)
    assert [(row["product_id"], row["availability"], row["boost"]) for row in rows] == [("p0", "", 0), ("p1", "", 0)]
    await milvus_index.upsert(earlier, [{**rows[0], "title": "again"}])
    (hits,) = await milvus_index.search(earlier, [unit(1)], 1, "")
    assert hits[0].row["title"] == "again"
    assert set(hits[0].row) == set(HIT_FIELDS)


@pytest.mark.parametrize("fields", [{"availability": "in_stock"}, {"boost": 0.1}])
async def test_what_it_would_lose_is_refused(milvus_index: MilvusIndex, earlier: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="framelens-index rebuild") as refused:
        await milvus_index.upsert(earlier, [product_row("p", **fields)])
    assert refused.value.reason is Reason.INVALID_PRODUCT
    assert await milvus_index.query(earlier, "ordinal == 0", 9) == []


async def test_a_rebuild_of_the_same_type_moves_to_one_that_has_every_field(
    admin: MilvusAdminIndex, earlier: str, alias: str
) -> None:
    await admin.upsert(earlier, [product_row(f"p{n}", vector=unit(1, n), price=n) for n in range(9)])
    roles = await Roles.read(admin, alias)
    assert roles.live.missing == MISSING
    assert any(f"{earlier} is of an earlier version" in each for each in (await read_state(admin)).warnings)
    goal = Goal(SPACE, "HNSW", SIZE)
    migration = Migration(admin, None, Bounds(min_overlap=0.9), 9, Silence())  # type: ignore[arg-type]
    moved = await migration.run(roles, goal, lambda: True)
    assert (moved.live, moved.previous, moved.levelled.copied) == (f"{earlier}__1", earlier, 9)
    live, previous = await admin.written(alias)
    assert (live.missing, previous.missing) == ((), MISSING)
    assert [row["price"] for row in await admin.query(live.name, "ordinal == 0", 99)] == list(range(9))
    await admin.upsert(live.name, [product_row("p1", availability="in_stock", boost=0.1)])
    again = await migration.run(await Roles.read(admin, alias), goal, lambda: True)
    assert (again.live, again.comparison) == (f"{earlier}__1", None)
