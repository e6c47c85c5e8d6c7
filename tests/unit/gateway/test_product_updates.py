"""Updates change what products say in every written collection, and nothing else of them."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway_fakes import SIZE, SPACE, FakeIndex, FakeRecognizer, upsert

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.catalog import Catalog
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, InvalidRequest, Unavailable
from framelens_gateway.index import Collection, Row
from framelens_gateway.milvus import CollectionGone

LIVE = Collection(f"products__{SPACE}", SPACE, SIZE)
NEXT = Collection("products__new__1", "new", SIZE)
OLD = Collection("products__old__1", "old", SIZE)


@pytest.fixture
def three(index: FakeIndex) -> FakeIndex:
    for role, collection in {"next": NEXT, "previous": OLD}.items():
        index.aliases[f"products__{role}"] = collection
        index.rows.setdefault(collection.name, {})
    return index


async def store(catalog: Catalog, *products: pb.ProductUpsert) -> None:
    answer = await catalog.upsert(pb.UpsertProductsRequest(products=products), Deadline.after(5))
    assert not any(result.HasField("error") for result in answer.results)


async def update(catalog: Catalog, *updates: pb.ProductUpdate) -> list[str]:
    """The reason of each result, empty where it is stored."""
    answer = await catalog.update(pb.UpdateProductsRequest(updates=updates), Deadline.after(5))
    assert [result.id for result in answer.results] == [each.id for each in updates]
    return [result.error.reason for result in answer.results]


async def get(catalog: Catalog, product_id: str) -> pb.StoredProduct:
    return await catalog.get(pb.GetProductRequest(id=product_id), Deadline.after(5))


def row(index: FakeIndex, collection: Collection, row_id: str) -> Row:
    return index.rows[collection.name][row_id]


async def test_what_is_given_changes_in_every_collection_and_the_rest_stays(
    catalog: Catalog, three: FakeIndex, recognizer: FakeRecognizer, tmp_path: Path
) -> None:
    await store(catalog, upsert("p", b"1", b"2", title="Cup", price=9, currency="EUR"), upsert("q"))
    before = {each.name: {key: dict(kept) for key, kept in three.rows[each.name].items()} for each in (LIVE, NEXT, OLD)}
    crops = sorted((tmp_path / "crops").rglob("*.jpg"))
    recognizer.calls.clear()
    changed = pb.ProductUpdate(id="p", price=7.5, availability="out_of_stock", boost=0.125)
    assert await update(catalog, changed) == [""]
    assert recognizer.calls == []
    assert sorted((tmp_path / "crops").rglob("*.jpg")) == crops
    for collection in (LIVE, NEXT, OLD):
        for row_id, old in before[collection.name].items():
            new = row(three, collection, row_id)
            differs = {name for name in old if not np.array_equal(old[name], new[name])}
            expected = {"price", "availability", "boost", "updated_at"} if old["product_id"] == "p" else set()
            assert differs == expected
    assert len({row(three, each, "p\x1f01")["updated_at"] for each in (LIVE, NEXT, OLD)}) == 1
    stored = await get(catalog, "p")
    assert stored.product == pb.Product(
        id="p", title="Cup", price=7.5, currency="EUR", availability="out_of_stock", boost=0.125
    )
    assert len(stored.pictures) == 2


async def test_every_field_can_be_set_and_cleared(catalog: Catalog) -> None:
    await store(catalog, upsert("p"))
    fields: dict[str, Any] = {
        "title": "T",
        "url": "u",
        "merchant": "m",
        "category": "c",
        "price": 0.0,
        "currency": "EUR",
        "availability": "preorder",
        "boost": -0.125,
    }
    assert await update(catalog, pb.ProductUpdate(id="p", **fields)) == [""]
    assert (await get(catalog, "p")).product == pb.Product(id="p", **fields)
    cleared = {name: "" if isinstance(value, str) else 0.0 for name, value in fields.items()} | {"price": -1.0}
    assert await update(catalog, pb.ProductUpdate(id="p", **cleared)) == [""]
    assert (await get(catalog, "p")).product == pb.Product(id="p")


async def test_each_update_stands_for_itself(catalog: Catalog) -> None:
    await store(catalog, upsert("p", title="Old"), upsert("q"))
    reasons = await update(
        catalog,
        pb.ProductUpdate(id="p", title="New"),
        pb.ProductUpdate(id="nobody", title="New"),
        pb.ProductUpdate(id="p", title="Newer"),
        pb.ProductUpdate(id="q", availability="sold"),
        pb.ProductUpdate(id="", title="x"),
    )
    assert reasons == ["", "NOT_FOUND", "INVALID_PRODUCT", "INVALID_PRODUCT", "INVALID_PRODUCT"]
    assert (await get(catalog, "p")).product.title == "New"


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_call_has_1_to_1000_updates(catalog: Catalog, count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"{count} updates; 1 to 1000"):
        await update(catalog, *[pb.ProductUpdate(id="p", price=1)] * count)


async def test_many_updates_are_written_some_at_a_time(catalog: Catalog, index: FakeIndex) -> None:
    for start in range(0, 150, 50):
        await store(catalog, *(upsert(f"p{n}") for n in range(start, start + 50)))
    index.calls.clear()
    assert await update(catalog, *(pb.ProductUpdate(id=f"p{n}", price=n) for n in range(150))) == [""] * 150
    assert [len(rows) for _, rows in index.of("upsert")] == [64, 64, 22]
    assert (await get(catalog, "p149")).product.price == 149


async def test_a_row_of_another_write_keeps_its_time_so_that_a_levelling_still_sees_it(
    catalog: Catalog, three: FakeIndex
) -> None:
    """A copy that was overtaken by a write: stamped like the live row, it would pass for it and stay as it is."""
    await store(catalog, upsert("p", title="New"))
    stale = row(three, NEXT, "p\x1f00")
    three.rows[NEXT.name]["p\x1f00"] = {**stale, "title": "Old", "updated_at": 1.0}
    assert await update(catalog, pb.ProductUpdate(id="p", price=3)) == [""]
    copy = row(three, NEXT, "p\x1f00")
    assert (copy["price"], copy["title"], copy["updated_at"]) == (3, "Old", 1.0)
    assert row(three, LIVE, "p\x1f00")["updated_at"] == row(three, OLD, "p\x1f00")["updated_at"] > 1


async def test_a_collection_that_is_being_filled_need_not_have_the_product(catalog: Catalog, three: FakeIndex) -> None:
    await store(catalog, upsert("p"))
    three.rows[NEXT.name].clear()
    assert await update(catalog, pb.ProductUpdate(id="p", price=3)) == [""]
    assert three.rows[NEXT.name] == {}


async def test_a_target_that_appears_meanwhile_has_the_update_too(catalog: Catalog, index: FakeIndex) -> None:
    await store(catalog, upsert("p"))
    copied = dict(index.rows[LIVE.name])

    class Appearing:
        async def meet(self) -> None:
            if "products__next" not in index.aliases:
                index.aliases["products__next"] = NEXT
                index.rows[NEXT.name] = copied

    index.faults["upsert"] = Appearing()  # type: ignore[assignment]
    await update(catalog, pb.ProductUpdate(id="p", price=3))
    assert row(index, NEXT, "p\x1f00")["price"] == 3
    assert row(index, NEXT, "p\x1f00")["updated_at"] == row(index, LIVE, "p\x1f00")["updated_at"]


async def test_it_is_not_acknowledged_before_all_have_it(catalog: Catalog, three: FakeIndex) -> None:
    await store(catalog, upsert("p"))
    real = three.upsert

    async def refusing(collection: str, rows: list[Row]) -> None:
        if collection == OLD.name:
            raise Unavailable(Reason.MILVUS_UNAVAILABLE, "full")
        await real(collection, rows)

    three.upsert = refusing  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="full"):
        await update(catalog, pb.ProductUpdate(id="p", price=3))
    three.fail("query", CollectionGone(Reason.MILVUS_UNAVAILABLE, "gone"))
    with pytest.raises(CollectionGone):
        await update(catalog, pb.ProductUpdate(id="p", price=3))


async def test_updates_and_upserts_take_turns(catalog: Catalog, index: FakeIndex) -> None:
    await store(catalog, upsert("p", title="0"))

    async def write(n: int) -> None:
        if n % 2:
            await store(catalog, upsert("p", title=str(n), merchant=str(n)))
        else:
            await update(catalog, pb.ProductUpdate(id="p", title=str(n), merchant=str(n)))

    await asyncio.gather(*(write(n) for n in range(20)))
    product = (await get(catalog, "p")).product
    assert product.title == product.merchant


async def test_what_is_late_is_not_begun(catalog: Catalog, index: FakeIndex) -> None:
    await store(catalog, upsert("p"))
    index.calls.clear()
    with pytest.raises(DeadlineExceeded):
        await catalog.update(pb.UpdateProductsRequest(updates=[pb.ProductUpdate(id="p", price=1)]), Deadline.after(-1))
    assert index.of("upsert") == []


async def test_a_collection_of_an_earlier_version_takes_what_it_can_hold(catalog: Catalog, index: FakeIndex) -> None:
    index.aliases["products"] = Collection(LIVE.name, SPACE, SIZE, ("availability", "boost"))
    await store(catalog, upsert("p"))
    reasons = await update(
        catalog,
        pb.ProductUpdate(id="p", price=3, availability="", boost=0),
        pb.ProductUpdate(id="q", availability="in_stock"),
        pb.ProductUpdate(id="r", boost=0.1),
    )
    assert reasons == ["", "INVALID_PRODUCT", "INVALID_PRODUCT"]
    answer = await catalog.upsert(
        pb.UpsertProductsRequest(products=[upsert("s", availability="in_stock", boost=0.1)]), Deadline.after(5)
    )
    message = answer.results[0].error.message
    assert "no availability and no boost" in message and "`framelens-index rebuild products`" in message
    with pytest.raises(InvalidRequest, match="no availability"):
        wanted = pb.Filter(availabilities=["in_stock"])
        await catalog.list_products(pb.ListProductsRequest(filter=wanted), Deadline.after(5))
