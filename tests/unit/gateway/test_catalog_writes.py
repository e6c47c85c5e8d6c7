"""A write reaches every collection that is live or can become it, or is not acknowledged."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway_fakes import SIZE, SPACE, FakeIndex, FakeRecognizer, Fault, embedding_in, upsert

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.catalog import Catalog
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import Unavailable
from framelens_gateway.index import Collection, Row
from framelens_gateway.milvus import CollectionGone

LIVE = Collection(f"products__{SPACE}", SPACE, SIZE)
NEXT = Collection("products__new__1", "new", SIZE)
OLD = Collection("products__old__1", "old", SIZE)


@pytest.fixture
def three(index: FakeIndex) -> FakeIndex:
    stand(index, next=NEXT, previous=OLD)
    return index


def stand(index: FakeIndex, **roles: Collection) -> None:
    for role, collection in roles.items():
        index.aliases[f"products__{role}"] = collection
        index.rows.setdefault(collection.name, {})


async def store(catalog: Catalog, *products: pb.ProductUpsert) -> pb.UpsertProductsResponse:
    return await catalog.upsert(pb.UpsertProductsRequest(products=products), Deadline.after(5))


async def delete(catalog: Catalog, *ids: str) -> pb.DeleteProductsResponse:
    return await catalog.delete(pb.DeleteProductsRequest(ids=ids), Deadline.after(5))


def without_vectors(index: FakeIndex, collection: Collection) -> list[Row]:
    return [{k: v for k, v in row.items() if k != "embedding"} for row in index.matching(collection.name, "")]


async def test_each_collection_has_the_rows_in_its_own_space(
    catalog: Catalog, three: FakeIndex, recognizer: FakeRecognizer, tmp_path: Path
) -> None:
    answer = await store(catalog, upsert("p", b"1", b"2"), upsert("q"))
    for collection in (NEXT, OLD):
        assert without_vectors(three, collection) == without_vectors(three, LIVE)
    for collection in (LIVE, NEXT, OLD):
        for row, picture in zip(three.matching(collection.name, ""), (b"1", b"2", b"cup"), strict=True):
            assert np.array_equal(row["embedding"], embedding_in(collection.space, picture))
    assert len(recognizer.calls) == 9
    assert list(answer.served.collections) == [LIVE.name, NEXT.name, OLD.name]
    assert {engine.model for engine in answer.served.engines} == {"detector", SPACE, "new", "old"}
    assert [name for name, *_ in three.of("upsert")] == [LIVE.name, NEXT.name, OLD.name], "the live one first"
    assert len(list((tmp_path / "crops").rglob("*.jpg"))) == 3


async def test_collections_of_one_space_share_its_embedding(
    catalog: Catalog, index: FakeIndex, recognizer: FakeRecognizer
) -> None:
    stand(index, next=Collection("products__same__1", SPACE, SIZE), previous=LIVE)
    await store(catalog, upsert("p"))
    assert len(recognizer.calls) == 1
    assert [name for name, *_ in index.of("upsert")] == [LIVE.name, "products__same__1"]


async def test_old_rows_and_crops_go_from_each_collection(catalog: Catalog, three: FakeIndex, tmp_path: Path) -> None:
    await store(catalog, upsert("p", b"1", b"2", b"3"))
    await store(catalog, upsert("p", b"2"))
    assert {len(three.rows[each.name]) for each in (LIVE, NEXT, OLD)} == {1}
    assert len(list((tmp_path / "crops").rglob("*.jpg"))) == 1


async def test_a_delete_reaches_all_and_tells_what_the_live_one_had(
    catalog: Catalog, three: FakeIndex, tmp_path: Path
) -> None:
    await store(catalog, upsert("p"), upsert("ghost"))
    await FakeIndex.delete(three, LIVE.name, 'product_id == "ghost"')
    answer = await delete(catalog, "p", "ghost")
    assert (list(answer.deleted), list(answer.missing)) == (["p"], ["ghost"])
    assert [three.rows[each.name] for each in (LIVE, NEXT, OLD)] == [{}, {}, {}]
    assert list((tmp_path / "crops").rglob("*.jpg")) == []


@pytest.mark.parametrize("space", ["new", "old"])
async def test_a_space_that_cannot_embed_fails_the_write_and_is_named(
    catalog: Catalog, three: FakeIndex, recognizer: FakeRecognizer, space: str
) -> None:
    recognizer.failures[space] = Unavailable(Reason.SPACE_NOT_LOADED, f"engine {space}: not there")
    with pytest.raises(Unavailable, match=f"its space {space}: load it") as refused:
        await store(catalog, upsert("p"))
    assert refused.value.reason is Reason.SPACE_NOT_LOADED
    assert three.of("upsert") == []


async def test_a_collection_that_refuses_the_write_fails_it(catalog: Catalog, three: FakeIndex) -> None:
    real = three.upsert

    async def refusing(collection: str, rows: Sequence[Row]) -> None:
        if collection == NEXT.name:
            raise Unavailable(Reason.MILVUS_UNAVAILABLE, "full")
        await real(collection, rows)

    three.upsert = refusing  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="full"):
        await store(catalog, upsert("p"))


@pytest.mark.parametrize("moment", ["recognize", "written", "upsert", "delete"])
async def test_a_target_that_appears_at_any_moment_has_the_write_too(
    catalog: Catalog, index: FakeIndex, recognizer: FakeRecognizer, moment: str
) -> None:
    await store(catalog, upsert("p", b"1", b"2"))

    class Appearing:
        async def meet(self) -> None:
            stand(index, next=NEXT)

    if moment == "recognize":
        recognizer.fault = Appearing()  # type: ignore[assignment]
    else:
        index.faults[moment] = Appearing()  # type: ignore[assignment]
    await store(catalog, upsert("p", b"3"))
    assert without_vectors(index, NEXT) == without_vectors(index, LIVE)
    (row,) = index.matching(NEXT.name, "")
    assert np.array_equal(row["embedding"], embedding_in("new", b"3"))


@pytest.mark.parametrize("moment", ["written", "query", "delete"])
async def test_a_target_that_appears_during_a_delete_loses_the_product_too(
    catalog: Catalog, index: FakeIndex, moment: str
) -> None:
    await store(catalog, upsert("p"))
    copied = dict(index.rows[LIVE.name])

    class Appearing:
        async def meet(self) -> None:
            if "products__next" not in index.aliases:
                stand(index, next=NEXT)
                index.rows[NEXT.name].update(copied)

    index.faults[moment] = Appearing()  # type: ignore[assignment]
    await delete(catalog, "p")
    assert index.rows[NEXT.name] == {}


async def test_a_switch_in_the_middle_of_a_write_leaves_it_in_both(catalog: Catalog, index: FakeIndex) -> None:
    stand(index, next=NEXT)

    class Switching:
        async def meet(self) -> None:
            index.aliases.update(products=NEXT, products__previous=LIVE)
            index.aliases.pop("products__next", None)

    index.faults["upsert"] = Switching()  # type: ignore[assignment]
    await store(catalog, upsert("p"))
    assert without_vectors(index, NEXT) == without_vectors(index, LIVE) != []


async def test_a_collection_that_is_dropped_meanwhile_is_no_loss(catalog: Catalog, three: FakeIndex) -> None:
    real = three.query

    async def dropping(collection: str, expression: str, limit: int, *, vectors: bool = False) -> list[Row]:
        if collection == OLD.name:
            three.aliases.pop("products__previous", None)
            raise CollectionGone(Reason.MILVUS_UNAVAILABLE, "gone")
        return await real(collection, expression, limit, vectors=vectors)

    three.query = dropping  # type: ignore[method-assign]
    answer = await store(catalog, upsert("p"))
    assert list(answer.served.collections) == [LIVE.name, NEXT.name]
    assert list((await delete(catalog, "p")).deleted) == ["p"]


async def test_a_collection_that_is_gone_and_still_wanted_fails_the_write(catalog: Catalog, three: FakeIndex) -> None:
    three.fail("query", CollectionGone(Reason.MILVUS_UNAVAILABLE, "gone"))
    with pytest.raises(CollectionGone):
        await store(catalog, upsert("p"))
    with pytest.raises(CollectionGone):
        await delete(catalog, "p")


async def test_reads_ask_the_live_collection_alone(catalog: Catalog, three: FakeIndex) -> None:
    await store(catalog, upsert("p"))
    three.calls.clear()
    await catalog.get(pb.GetProductRequest(id="p"), Deadline.after(5))
    await catalog.list_products(pb.ListProductsRequest(page_size=5), Deadline.after(5))
    assert {collection for collection, *_ in three.of("query")} == {LIVE.name}
    assert three.of("written") == []


async def test_times_follow_the_order_of_the_writes_and_not_of_their_embedding(
    catalog: Catalog, index: FakeIndex, recognizer: FakeRecognizer, until: Callable[..., Any]
) -> None:
    """By this time a copy is told from its original."""
    gate = asyncio.Event()
    recognizer.fault = Fault(gate=gate)
    first = asyncio.create_task(store(catalog, upsert("p", b"1")))
    await until(lambda: recognizer.running)
    recognizer.fault = Fault()
    await store(catalog, upsert("p", b"2"))
    (second,) = index.matching(LIVE.name, "")
    gate.set()
    await first
    (row,) = index.matching(LIVE.name, "")
    assert row["updated_at"] > second["updated_at"]
