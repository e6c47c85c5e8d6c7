"""MilvusAdminIndex against a real Milvus Lite."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from gateway_fakes import SIZE, SPACE, MilvusLite, product_row, unit

from framelens_gateway.index import next_of
from framelens_gateway.index_admin import admin_index
from framelens_gateway.index_admin.admin_index import Described, MilvusAdminIndex
from framelens_gateway.index_admin.index_recall import recall_of_index
from framelens_gateway.index_types import IndexSettings
from framelens_gateway.product_collection import Plan


@pytest.fixture
def alias() -> str:
    return f"a{uuid4().hex[:8]}"


@pytest.fixture
async def index(milvus: MilvusLite) -> AsyncIterator[MilvusAdminIndex]:
    real = MilvusAdminIndex(milvus.uri, "", IndexSettings("HNSW"), 5, 0.2)
    yield real
    await real.close()


async def of(index: MilvusAdminIndex, alias: str) -> list[Described]:
    return [each for each in await index.overview() if each.owner == alias]


async def test_collections_and_aliases_come_and_go_and_again_does_nothing(index: MilvusAdminIndex, alias: str) -> None:
    first, second = f"{alias}__s__1", f"{alias}__s__2"
    for _ in range(2):
        await index.make(Plan(first, alias, "s", SIZE, "HNSW"))
        await index.make(Plan(second, alias, "s", SIZE, "IVF_FLAT"))
    assert await of(index, alias) == [
        Described(first, "s", SIZE, "HNSW", alias, ()),
        Described(second, "s", SIZE, "IVF_FLAT", alias, ()),
    ]
    for _ in range(2):
        await index.point(alias, first)
        await index.point(next_of(alias), first)
    assert (await of(index, alias))[0].aliases == (alias, next_of(alias))
    await index.point(alias, second)
    for _ in range(2):
        await index.drop_alias(next_of(alias))
    assert [each.aliases for each in await of(index, alias)] == [(), (alias,)]
    for _ in range(2):
        await index.drop(first)
    assert [each.name for each in await of(index, alias)] == [second]
    assert await index.is_lite()


async def test_a_collection_that_was_left_half_made_is_seen_and_completed(index: MilvusAdminIndex, alias: str) -> None:
    plan = Plan(f"{alias}__s__1", alias, "s", SIZE, "FLAT")
    await index.make(plan)
    await index._call(lambda client: (client.release_collection(plan.name), client.drop_index(plan.name, "embedding")))
    assert [each.index_type for each in await of(index, alias)] == [""]
    await index.make(plan)
    assert [each.index_type for each in await of(index, alias)] == ["FLAT"]


async def test_collections_of_others_are_not_seen_and_older_ones_belong_by_their_name(
    index: MilvusAdminIndex, alias: str
) -> None:
    await index._call(lambda client: client.create_collection(f"{alias}_foreign", dimension=SIZE))
    name = (await index.create(alias, SPACE, SIZE)).name
    await index._call(lambda client: client.drop_collection_properties(name, ["framelens.alias"]))
    assert [each.name for each in await of(index, alias)] == [name]


async def test_every_row_is_read_page_by_page(
    index: MilvusAdminIndex, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_index, "_STAMPS_PER_PAGE", 7)
    monkeypatch.setattr(admin_index, "_VECTORS_PER_PAGE", 7)
    name = (await index.create(alias, SPACE, SIZE)).name
    assert await index.stamps(name) == {}
    ids = [f'{n}"\\{n % 3}' for n in range(30)] + ["é", "漢"]
    await index.upsert(name, [product_row(each, updated_at=1 + n / 3) for n, each in enumerate(ids)])
    await index.flush(name)
    await index.upsert(name, [product_row(ids[3], updated_at=99.125)])
    await index.delete(name, 'product_id == "é"')
    stamps = await index.stamps(name)
    assert len(stamps) == await index.count(name) == 31
    assert stamps[f"{ids[3]}\x1f00"] == 99.125
    assert stamps[f"{ids[1]}\x1f00"] == 1 + 1 / 3
    pages = [page async for page in index.all_vectors(name)]
    assert [len(page) for page in pages] == [7, 7, 7, 7, 3]
    assert sorted(row["row_id"] for page in pages for row in page) == sorted(stamps)


async def test_rows_are_read_by_id_and_can_be_stored_elsewhere_as_they_are(index: MilvusAdminIndex, alias: str) -> None:
    name = (await index.create(alias, SPACE, SIZE)).name
    await index.make(Plan(f"{alias}__copy", alias, SPACE, SIZE, "FLAT"))
    await index.upsert(name, [product_row(f"p{n}", vector=unit(1, n), price=None if n else 2.5) for n in range(5)])
    rows = await index.stored(name, ["p0\x1f00", "p3\x1f00", "nobody"], vectors=True)
    assert sorted(row["product_id"] for row in rows) == ["p0", "p3"]
    assert await index.stored(name, []) == []
    await index.upsert(f"{alias}__copy", rows)
    await index.flush(f"{alias}__copy")
    assert sorted(await index.query(f"{alias}__copy", "ordinal == 0", 9), key=str) == sorted(
        await index.stored(name, ["p0\x1f00", "p3\x1f00"]), key=str
    )
    (hits,) = await index.search(f"{alias}__copy", [unit(1, 3)], 5, "")
    assert [hit.row["product_id"] for hit in hits] == ["p3", "p0"]
    assert await recall_of_index(index, name, ["p0\x1f00", "p1\x1f00"], 3) == 1
