"""VisualSearch and Catalog over fakes at the two seams."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.aliases import Aliases
from framelens_gateway.catalog import Catalog
from framelens_gateway.crops import CropStore
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, GatewayError, NotFound, Unavailable
from framelens_gateway.flushing import Flusher
from framelens_gateway.merging import SearchMerger
from framelens_gateway.routing import Routing
from framelens_gateway.visual_search import VisualSearch

SOON = 10.0


@pytest.fixture
async def catalog(recognizer: Any, index: Any, tmp_path: Path) -> AsyncIterator[Catalog]:
    flusher = Flusher(index, 0.02)
    yield Catalog(recognizer, Aliases(index, recognizer, "embedder_x"), index, CropStore(tmp_path), flusher, 1000)
    await flusher.close()


@pytest.fixture
def search(recognizer: Any, index: Any) -> VisualSearch:
    aliases = Aliases(index, recognizer, "embedder_x")
    return VisualSearch(recognizer, aliases, SearchMerger(index), Routing.load(None), 1000)


def upsert(product_id: str, *pictures: str) -> pb.ProductUpsert:
    references = [pb.ReferencePicture(picture=picture.encode()) for picture in pictures]
    return pb.ProductUpsert(product=pb.Product(id=product_id, title=product_id), pictures=references)


async def store(catalog: Catalog, *products: pb.ProductUpsert) -> list[str]:
    """The reasons of the results, empty for what was stored."""
    response = await catalog.upsert(pb.UpsertProductsRequest(products=products), Deadline.after(SOON))
    return [result.error.reason for result in response.results]


async def test_labels_go_where_they_are_routed(search: VisualSearch, catalog: Catalog) -> None:
    await store(catalog, upsert("mug", "x:0"), upsert("plate", "x:60"))
    request = pb.RecognizeRequest(picture=b"cup:10,person:0")
    cup, person = (await search.recognize(request, Deadline.after(SOON))).objects
    assert (cup.route, [match.id for match in cup.matches]) == ("products", ["mug", "plate"])
    assert (person.route, len(person.matches), "videos" in person.note) == ("videos", 0, True)


async def test_a_product_with_many_pictures_does_not_crowd_out_others(
    search: VisualSearch, catalog: Catalog, index: Any
) -> None:
    await store(catalog, *(upsert(f"same-{n}", *[f"x:{n / 100}"] * 16) for n in range(3)), upsert("other", "x:50"))
    request = pb.RecognizeRequest(picture=b"cup:0", search=pb.SearchOptions(top_k=4))
    (cup,) = (await search.recognize(request, Deadline.after(SOON))).objects
    assert [match.id for match in cup.matches] == ["same-0", "same-1", "same-2", "other"]
    assert [limit for _, limit, _ in index.searches] == [16, 64]


async def test_pages_go_on_where_recognition_ended(search: VisualSearch, catalog: Catalog) -> None:
    await store(catalog, *(upsert(f"p{n}", f"x:{n}") for n in range(7)))
    options = pb.SearchOptions(top_k=3)
    (cup,) = (
        await search.recognize(pb.RecognizeRequest(picture=b"cup:0", search=options), Deadline.after(SOON))
    ).objects
    listed, token = [match.id for match in cup.matches], cup.next_page_token
    while token:
        request = pb.SearchRegionRequest(picture=b"cup:0", region=cup.box, search=options, page_token=token)
        page = await search.search_region(request, Deadline.after(SOON))
        listed += [match.id for match in page.matches]
        token = page.next_page_token
    assert listed == [f"p{n}" for n in range(7)]


async def test_min_score_leaves_out_what_is_unlike(search: VisualSearch, catalog: Catalog) -> None:
    await store(catalog, upsert("near", "x:10"), upsert("far", "x:80"))
    request = pb.RecognizeRequest(picture=b"cup:0", search=pb.SearchOptions(min_score=0.9))
    (cup,) = (await search.recognize(request, Deadline.after(SOON))).objects
    assert [match.id for match in cup.matches] == ["near"]


async def test_vectors_of_another_width_are_never_searched(search: VisualSearch, recognizer: Any, index: Any) -> None:
    recognizer.size = 3
    with pytest.raises(Unavailable) as caught:
        await search.recognize(pb.RecognizeRequest(picture=b"cup:0"), Deadline.after(SOON))
    assert caught.value.reason is Reason.SPACE_MISMATCH
    assert index.searches == []


async def test_what_is_late_is_not_begun(search: VisualSearch, recognizer: Any) -> None:
    with pytest.raises(DeadlineExceeded):
        await search.recognize(pb.RecognizeRequest(picture=b"cup:0"), Deadline.after(-1))
    assert recognizer.calls == []


@pytest.mark.parametrize(
    ("request_fields", "reason"),
    [
        ({"picture": b""}, Reason.INVALID_PICTURE),
        ({"picture": b"x" * 1001}, Reason.PICTURE_TOO_LARGE),
        ({"search": pb.SearchOptions(top_k=101)}, Reason.INVALID_ARGUMENT),
        ({"search": pb.SearchOptions(min_score=float("nan"))}, Reason.INVALID_ARGUMENT),
        ({"min_object_score": 2.0}, Reason.INVALID_ARGUMENT),
        ({"max_objects": 0}, Reason.INVALID_ARGUMENT),
        ({"search": pb.SearchOptions(filter=pb.Filter(min_price=float("nan")))}, Reason.INVALID_FILTER),
        ({"search": pb.SearchOptions(filter=pb.Filter(min_price=2, max_price=1))}, Reason.INVALID_FILTER),
        ({"search": pb.SearchOptions(filter=pb.Filter(merchants=["a\nb"]))}, Reason.INVALID_FILTER),
        ({"search": pb.SearchOptions(filter=pb.Filter.FromString(b"\x98\x06\x01"))}, Reason.INVALID_FILTER),
    ],
)
async def test_wrong_requests_are_refused_before_any_work(
    search: VisualSearch, recognizer: Any, request_fields: dict[str, Any], reason: Reason
) -> None:
    request = pb.RecognizeRequest(**{"picture": b"cup:0", **request_fields})
    with pytest.raises(GatewayError) as caught:
        await search.recognize(request, Deadline.after(SOON))
    assert caught.value.reason is reason
    assert recognizer.calls == []


async def test_each_product_stands_for_itself(catalog: Catalog, index: Any) -> None:
    reasons = await store(
        catalog, upsert("a", "x:0"), upsert("", "x:0"), upsert("a", "x:1"), upsert("b", "x:0", "broken"), upsert("c")
    )
    assert reasons == ["", "INVALID_PRODUCT", "INVALID_PRODUCT", "INVALID_ARGUMENT", "INVALID_PRODUCT"]
    assert [row["product_id"] for row in index.rows.values()] == ["a"]


async def test_fewer_pictures_replace_more_and_their_crops_go(catalog: Catalog, index: Any, tmp_path: Path) -> None:
    await store(catalog, upsert("a", "x:0", "x:1", "x:2"))
    assert len(list(tmp_path.glob("*/*.jpg"))) == 3
    await store(catalog, upsert("a", "x:1"))
    assert [row["product_id"] for row in index.rows.values()] == ["a"]
    assert [path.stem for path in tmp_path.glob("*/*.jpg")] == [row["picture_id"] for row in index.rows.values()]


async def test_nothing_is_stored_while_triton_is_away(catalog: Catalog, recognizer: Any, index: Any) -> None:
    recognizer.failure = Unavailable(Reason.TRITON_UNAVAILABLE, "away")
    with pytest.raises(Unavailable):
        await store(catalog, upsert("a", "x:0"), upsert("b", "x:0"))
    assert index.rows == {}


async def test_deleting_takes_rows_and_crops(catalog: Catalog, index: Any, tmp_path: Path) -> None:
    await store(catalog, upsert("a", "x:0"), upsert("b", "x:0"))
    response = await catalog.delete(pb.DeleteProductsRequest(ids=["a", "z"]), Deadline.after(SOON))
    assert (list(response.deleted), list(response.missing)) == (["a"], ["z"])
    assert [row["product_id"] for row in index.rows.values()] == ["b"]
    assert len(list(tmp_path.glob("*/*.jpg"))) == 1
    with pytest.raises(NotFound):
        await catalog.get(pb.GetProductRequest(id="a"), Deadline.after(SOON))


async def test_writes_are_flushed_after_a_quiet_moment(catalog: Catalog, index: Any) -> None:
    await store(catalog, upsert("a", "x:0"))
    await store(catalog, upsert("b", "x:0"))
    assert index.flushed == 0
    await asyncio.sleep(0.2)
    assert index.flushed == 1


async def test_a_failed_flush_is_tried_again(catalog: Catalog, index: Any, milvus_away: Unavailable) -> None:
    await store(catalog, upsert("a", "x:0"))
    index.failure = milvus_away
    await asyncio.sleep(0.1)
    index.failure = None
    await asyncio.sleep(0.2)
    assert index.flushed == 1
