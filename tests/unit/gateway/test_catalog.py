"""Products with their pictures: stored whole, replaced whole, deleted whole."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_fakes import SIZE, SPACE, FakeIndex, FakeRecognizer, found, unit, upsert

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.catalog import Catalog
from framelens_gateway.crops import CropStore
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, InvalidRequest, NotFound, Unavailable
from framelens_gateway.index import Collection
from framelens_gateway.pages import page_token
from framelens_gateway.recognizer import WHOLE_PICTURE, Box, FoundObject

AWAY = Unavailable(Reason.MILVUS_UNAVAILABLE, "away")


async def store(catalog: Catalog, *products: pb.ProductUpsert) -> list[str]:
    """The reason of each result, empty where it is stored."""
    answer = await catalog.upsert(pb.UpsertProductsRequest(products=products), Deadline.after(5))
    assert [result.id for result in answer.results] == [each.product.id for each in products]
    return [result.error.reason for result in answer.results]


async def delete(catalog: Catalog, *ids: str) -> pb.DeleteProductsResponse:
    return await catalog.delete(pb.DeleteProductsRequest(ids=ids), Deadline.after(5))


async def get(catalog: Catalog, product_id: str) -> pb.StoredProduct:
    return await catalog.get(pb.GetProductRequest(id=product_id), Deadline.after(5))


async def pages(catalog: Catalog, size: int, **wanted: Any) -> list[list[str]]:
    listed, token = [], ""
    while True:
        request = pb.ListProductsRequest(page_size=size, page_token=token, filter=pb.Filter(**wanted))
        answer = await catalog.list_products(request, Deadline.after(5))
        listed.append([stored.product.id for stored in answer.products])
        token = answer.next_page_token
        if not token:
            return listed


def rows(index: FakeIndex) -> list[dict[str, Any]]:
    return index.matching(f"products__{SPACE}", "")


def crop_files(tmp_path: Path) -> set[str]:
    return {path.stem for path in (tmp_path / "crops").rglob("*.jpg")}


def picture_ids(index: FakeIndex) -> set[str]:
    return {row["picture_id"] for row in rows(index)}


async def test_a_row_and_a_crop_for_each_picture(
    catalog: Catalog, index: FakeIndex, crops: CropStore, tmp_path: Path
) -> None:
    product = upsert("p", b"front", b"back", title="Cup", price=0.0, currency="EUR", category="cups", url="u")
    product.pictures[1].region.CopyFrom(pb.Box(x_min=0.25, x_max=0.5, y_max=1))
    assert await store(catalog, product) == [""]
    first, second = rows(index)
    assert (first["ordinal"], second["ordinal"], second["x_min"]) == (0, 1, 0.25)
    assert crops.path(second["picture_id"]).read_bytes() == b"crop of back"
    assert crop_files(tmp_path) == picture_ids(index)
    stored = await get(catalog, "p")
    assert stored.product == product.product
    assert stored.product.HasField("price")
    assert [picture.picture_id for picture in stored.pictures] == [first["picture_id"], second["picture_id"]]
    assert stored.pictures[1].region == product.pictures[1].region
    assert stored.updated_at > 1e9


async def test_without_a_region_it_is_the_main_object_that_is_stored(
    catalog: Catalog, index: FakeIndex, recognizer: FakeRecognizer
) -> None:
    middle, corner = Box(0.25, 0.25, 0.75, 0.75), Box(0.0, 0.0, 0.5, 0.5)
    recognizer.objects[b"shown"] = [FoundObject("cup", 0.9, corner, unit(1)), FoundObject("cup", 0.6, middle, unit(1))]
    product = upsert("p", b"shown", b"shown", b"bare")
    product.pictures[0].ClearField("region")
    product.pictures[2].ClearField("region")
    assert await store(catalog, product) == [""]
    boxes = [Box(**{name: row[name] for name in Box._fields}) for row in rows(index)]
    assert boxes == [middle, WHOLE_PICTURE, WHOLE_PICTURE]
    finding = [call for call in recognizer.calls if call.regions is None]
    assert {call.picture for call in finding} == {b"shown", b"bare"}
    assert {(call.detector, call.min_score, call.crops) for call in finding} == {("detector", 0.3, False)}
    assert [call.regions for call in recognizer.calls if call.picture == b"shown" and call.regions] == [
        (middle,),
        (WHOLE_PICTURE,),
    ]


async def test_the_main_object_is_found_once_for_all_spaces(
    catalog: Catalog, index: FakeIndex, recognizer: FakeRecognizer
) -> None:
    index.aliases["products__next"] = Collection("products__new__1", "new", SIZE)
    index.rows["products__new__1"] = {}
    recognizer.objects[b"shown"] = [found("cup")]
    product = upsert("p", b"shown")
    product.pictures[0].ClearField("region")
    assert await store(catalog, product) == [""]
    assert [call.regions is None for call in recognizer.calls] == [True, False, False]
    assert {call.regions for call in recognizer.calls[1:]} == {(found("cup").box,)}


async def test_fewer_pictures_than_before_leave_no_old_row_and_no_old_crop(
    catalog: Catalog, index: FakeIndex, tmp_path: Path
) -> None:
    await store(catalog, upsert("p", b"1", b"2", b"3"), upsert("other", b"1"))
    await store(catalog, upsert("p", b"2"))
    assert [row["product_id"] for row in rows(index)] == ["other", "p"]
    assert crop_files(tmp_path) == picture_ids(index)


async def test_the_same_picture_twice_keeps_its_crop(catalog: Catalog, index: FakeIndex, tmp_path: Path) -> None:
    await store(catalog, upsert("p", b"1", b"1"))
    await store(catalog, upsert("p", b"1"))
    assert len(rows(index)) == 1
    assert crop_files(tmp_path) == picture_ids(index)


async def test_a_bad_product_is_reported_and_its_neighbours_are_stored(catalog: Catalog, index: FakeIndex) -> None:
    no_picture = pb.ProductUpsert(product=pb.Product(id="bare"))
    inverted = upsert("inverted")
    inverted.pictures[0].region.CopyFrom(pb.Box(x_min=0.5, x_max=0.1, y_max=1))
    reasons = await store(
        catalog,
        upsert("good"),
        upsert(""),
        upsert("broken", b"fine", b"bad"),
        upsert("good", b"again"),
        no_picture,
        inverted,
        upsert("large", b"x" * 3000),
        upsert("empty", b""),
        upsert("too long" * 100),
        upsert("currency", currency="euro"),
        upsert("price", price=float("nan")),
        upsert("fine"),
    )
    assert reasons == [
        "",
        "INVALID_PRODUCT",
        "INVALID_PICTURE",
        "INVALID_PRODUCT",
        "INVALID_PRODUCT",
        "INVALID_REGION",
        "PICTURE_TOO_LARGE",
        "INVALID_PICTURE",
        "INVALID_PRODUCT",
        "INVALID_PRODUCT",
        "INVALID_PRODUCT",
        "",
    ]
    assert [row["product_id"] for row in rows(index)] == ["fine", "good"]


async def test_nothing_good_writes_nothing(catalog: Catalog, index: FakeIndex) -> None:
    assert await store(catalog, upsert("p", b"bad")) == ["INVALID_PICTURE"]
    assert index.of("upsert") == []


@pytest.mark.parametrize("count", [0, 65])
async def test_the_number_of_products_is_bounded(catalog: Catalog, index: FakeIndex, count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"{count} products"):
        await store(catalog, *(upsert(f"p{n}") for n in range(count)))
    assert index.calls == []


async def test_nothing_is_stored_while_triton_is_away(
    catalog: Catalog, index: FakeIndex, recognizer: FakeRecognizer, tmp_path: Path
) -> None:
    recognizer.fault.error = Unavailable(Reason.TRITON_UNAVAILABLE, "away")
    with pytest.raises(Unavailable, match="away"):
        await store(catalog, *(upsert(f"p{n}") for n in range(20)))
    assert rows(index) == []
    assert crop_files(tmp_path) == set()
    await asyncio.sleep(0.01)
    assert recognizer.running == 0


async def test_vectors_of_another_width_are_not_stored(
    catalog: Catalog, index: FakeIndex, recognizer: FakeRecognizer
) -> None:
    recognizer.size = SIZE - 1
    with pytest.raises(Unavailable) as refused:
        await store(catalog, upsert("p"))
    assert refused.value.reason is Reason.SPACE_MISMATCH
    assert rows(index) == []


async def test_few_pictures_are_embedded_at_once(catalog: Catalog, recognizer: FakeRecognizer) -> None:
    await asyncio.gather(*(store(catalog, *(upsert(f"{call}-{n}") for n in range(16))) for call in range(3)))
    assert recognizer.most_running == 8


async def test_what_is_late_is_not_written(catalog: Catalog, index: FakeIndex) -> None:
    with pytest.raises(DeadlineExceeded):
        await catalog.upsert(pb.UpsertProductsRequest(products=[upsert("p")]), Deadline.after(-1))
    assert index.of("upsert") == []


async def test_a_caller_that_goes_does_not_stop_a_write_half_way(
    catalog: Catalog, index: FakeIndex, until: Callable[..., Any], tmp_path: Path
) -> None:
    await store(catalog, upsert("p", b"1", b"2"))
    gate = asyncio.Event()
    index.fail("upsert", gate=gate)
    call = asyncio.create_task(store(catalog, upsert("p", b"3")))
    await until(lambda: len(index.of("upsert")) == 2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gate.set()
    await catalog.close()
    assert len(rows(index)) == 1
    assert crop_files(tmp_path) == picture_ids(index)


async def test_a_caller_that_goes_does_not_give_up_the_turn_of_its_delete(
    catalog: Catalog, index: FakeIndex, until: Callable[..., Any]
) -> None:
    """Otherwise a delete that Milvus is still at could take away what is stored, and acknowledged, after it."""
    await store(catalog, upsert("p"))
    gate = asyncio.Event()
    index.fail("delete", gate=gate)
    call = asyncio.create_task(delete(catalog, "p"))
    await until(lambda: index.of("delete"))
    call.cancel()
    storing = asyncio.create_task(store(catalog, upsert("p")))
    await asyncio.sleep(0.05)
    assert len(index.of("upsert")) == 1
    gate.set()
    assert await storing == [""]
    assert len(rows(index)) == 1


@pytest.mark.parametrize("late", ["store", "delete"])
async def test_a_write_whose_turn_comes_too_late_is_not_begun(
    catalog: Catalog, index: FakeIndex, until: Callable[..., Any], tmp_path: Path, late: str
) -> None:
    await store(catalog, upsert("p"))
    gate = asyncio.Event()
    index.fail("upsert", gate=gate)
    first = asyncio.create_task(store(catalog, upsert("q")))
    await until(lambda: len(index.of("upsert")) == 2)
    soon = Deadline.after(0.1)
    second = asyncio.create_task(
        catalog.upsert(pb.UpsertProductsRequest(products=[upsert("r")]), soon)
        if late == "store"
        else catalog.delete(pb.DeleteProductsRequest(ids=["p"]), soon)
    )
    await asyncio.sleep(0.15)
    gate.set()
    with pytest.raises(DeadlineExceeded):
        await second
    assert await first == [""]
    assert [row["product_id"] for row in rows(index)] == ["p", "q"]
    assert crop_files(tmp_path) == picture_ids(index)
    assert await store(catalog, upsert("s")) == [""], "the turn was given back"


@pytest.mark.parametrize("write", [lambda catalog: store(catalog, upsert("r")), lambda catalog: delete(catalog, "p")])
async def test_a_write_that_waits_goes_with_its_caller(
    catalog: Catalog, index: FakeIndex, until: Callable[..., Any], write: Callable[..., Any]
) -> None:
    await store(catalog, upsert("p"))
    gate = asyncio.Event()
    index.fail("upsert", gate=gate)
    first = asyncio.create_task(store(catalog, upsert("q")))
    await until(lambda: len(index.of("upsert")) == 2)
    waiting = asyncio.create_task(write(catalog))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await first
    await catalog.close()
    assert [row["product_id"] for row in rows(index)] == ["p", "q"]


async def test_a_write_that_has_begun_is_finished_after_its_deadline(
    catalog: Catalog, index: FakeIndex, until: Callable[..., Any]
) -> None:
    gate = asyncio.Event()
    index.fail("upsert", gate=gate)
    soon = Deadline.after(0.1)
    call = asyncio.create_task(catalog.upsert(pb.UpsertProductsRequest(products=[upsert("p")]), soon))
    await until(lambda: index.of("upsert"))
    await asyncio.sleep(0.15)
    gate.set()
    await call
    assert [row["product_id"] for row in rows(index)] == ["p"]


async def test_a_write_that_fails_after_its_caller_went_is_logged(
    catalog: Catalog, index: FakeIndex, until: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    gate = asyncio.Event()
    index.fail("upsert", AWAY, gate)
    call = asyncio.create_task(store(catalog, upsert("p")))
    await until(lambda: index.of("upsert"))
    call.cancel()
    gate.set()
    await catalog.close()
    assert "a write to the catalogue failed: away" in caplog.text


@pytest.mark.parametrize("seed", range(3))
async def test_writes_of_one_product_do_not_mix(catalog: Catalog, index: FakeIndex, tmp_path: Path, seed: int) -> None:
    """Every crop that a row names is there, and no other, whatever the order of upserts and deletes."""
    chance = random.Random(seed)

    async def one() -> None:
        await asyncio.sleep(chance.random() * 0.05)
        if chance.random() < 0.3:
            await delete(catalog, "p")
        else:
            pictures = chance.sample([b"1", b"2", b"3"], chance.randint(1, 3))
            await store(catalog, upsert("p", *pictures))

    calls = [asyncio.create_task(one()) for _ in range(60)]
    for call in calls[::7]:
        asyncio.get_running_loop().call_later(0.03, call.cancel)
    await asyncio.gather(*calls, return_exceptions=True)
    await catalog.close()
    assert crop_files(tmp_path) == picture_ids(index)
    assert [row["ordinal"] for row in rows(index)] == list(range(len(rows(index))))


async def test_delete_says_what_was_not_there(catalog: Catalog, index: FakeIndex, tmp_path: Path) -> None:
    await store(catalog, upsert("a", b"1", b"2"), upsert('b"\\'), upsert("c"))
    answer = await delete(catalog, "a", "z", 'b"\\', "a")
    assert (list(answer.deleted), list(answer.missing)) == (["a", 'b"\\'], ["z"])
    assert [row["product_id"] for row in rows(index)] == ["c"]
    assert crop_files(tmp_path) == picture_ids(index)
    assert list((await delete(catalog, "z")).missing) == ["z"]
    with pytest.raises(NotFound, match="product a "):
        await get(catalog, "a")


@pytest.mark.parametrize("ids", [[], [""], ["x" * 257], ["a\n"], [f"p{n}" for n in range(1001)]])
async def test_ids_to_delete_are_checked(catalog: Catalog, ids: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        await delete(catalog, *ids)


async def test_lists_pages_in_the_order_of_ids(catalog: Catalog) -> None:
    ids = ["a", "a b", "a!", "a#00", "aa", "b", 'q"', "é", "漢", "\U0001f600"]
    await store(catalog, *(upsert(product_id, b"1", b"2") for product_id in reversed(ids)))
    assert sum(await pages(catalog, 3), []) == ids
    assert [len(page) for page in await pages(catalog, 5)] == [5, 5]
    assert await pages(catalog, 1000) == [ids]


async def test_lists_what_a_filter_asks_for(catalog: Catalog) -> None:
    await store(catalog, upsert("a", merchant="m", price=1), upsert("b", merchant="n"), upsert("c", merchant="m"))
    assert await pages(catalog, 1, merchants=["m"]) == [["a"], ["c"]]
    assert await pages(catalog, 1, merchants=["none"]) == [[]]


@pytest.mark.parametrize("position", ["a\nb", "x" * 257, 'a\x00"', "", "\ud800"])
async def test_a_made_up_position_never_reaches_the_index(catalog: Catalog, index: FakeIndex, position: str) -> None:
    request = pb.ListProductsRequest(page_token=page_token("products", position))
    with pytest.raises(InvalidRequest) as refused:
        await catalog.list_products(request, Deadline.after(5))
    assert refused.value.reason is Reason.INVALID_PAGE_TOKEN
    assert index.of("query") == []


@pytest.mark.parametrize("size", [0, -1, 1001])
async def test_page_size_is_bounded(catalog: Catalog, size: int) -> None:
    with pytest.raises(InvalidRequest, match="page_size"):
        await catalog.list_products(pb.ListProductsRequest(page_size=size), Deadline.after(5))


async def test_get_of_a_product_that_is_not_there(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match="product x is not"):
        await get(catalog, "x")
    with pytest.raises(InvalidRequest):
        await get(catalog, "")


async def test_milvus_away_fails_each_method(catalog: Catalog, index: FakeIndex) -> None:
    index.fail("resolve", AWAY)
    index.fail("written", AWAY)
    for call in (store(catalog, upsert("p")), delete(catalog, "p"), get(catalog, "p"), pages(catalog, 1)):
        with pytest.raises(Unavailable):
            await call
