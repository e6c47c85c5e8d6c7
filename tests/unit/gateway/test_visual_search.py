"""Recognise, route, search, dedupe, rank and page, over fakes at the two seams."""

import asyncio
import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from gateway_fakes import SIZE, SPACE, FakeIndex, FakeRecognizer, embedding, found, product_row, unit

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.aliases import Aliases
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, GatewayError, InvalidRequest, Unavailable
from framelens_gateway.index import Collection, Vector
from framelens_gateway.pages import page_token
from framelens_gateway.visual_search import VisualSearch

REGION = pb.Box(x_min=0.1, y_min=0.2, x_max=0.6, y_max=0.8)


def near(picture: bytes, away: float) -> Vector:
    """A vector at a cosine of about 1 - away²/2 to the picture's."""
    base = embedding(picture)
    other = np.roll(base, 1)
    return unit(*(base + away * (other - (other @ base) * base)))


def ids(matches: Iterable[pb.Match]) -> list[str]:
    return [match.id for match in matches]


async def recognize(search: VisualSearch, picture: bytes = b"frame", **options: Any) -> pb.RecognizeResponse:
    request = pb.RecognizeRequest(picture=picture, search=pb.SearchOptions(**options))
    return await search.recognize(request, Deadline.after(5))


async def region(search: VisualSearch, token: str = "", **options: Any) -> pb.SearchRegionResponse:
    request = pb.SearchRegionRequest(
        picture=b"cup", region=REGION, search=pb.SearchOptions(**options), page_token=token
    )
    return await search.search_region(request, Deadline.after(5))


async def all_pages(search: VisualSearch, recognizer: FakeRecognizer, top_k: int) -> list[list[str]]:
    """The first page from Recognize, the others from SearchRegion."""
    recognizer.objects[b"cup"] = [found("cup")]
    first = (await recognize(search, b"cup", top_k=top_k)).objects[0]
    pages, token = [ids(first.matches)], first.next_page_token
    while token:
        page = await region(search, token, top_k=top_k)
        pages.append(ids(page.matches))
        token = page.next_page_token
    return pages


async def test_labels_go_where_they_are_routed(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    index.add(product_row("cup", vector=embedding(b"cup")), product_row("bowl", vector=embedding(b"bowl")))
    recognizer.objects[b"frame"] = [found("cup"), found("person", b"face"), found("bowl", b"bowl", 0.8)]
    cup, person, bowl = (await recognize(search, top_k=1)).objects
    assert (cup.route, ids(cup.matches), cup.note) == ("products", ["cup"], "")
    assert (person.route, list(person.matches), person.next_page_token) == ("videos", [], "")
    assert "videos" in person.note
    assert (bowl.label, pytest.approx(0.8), ids(bowl.matches)) == ("bowl", bowl.score, ["bowl"])
    assert [count for _, count, _, _ in index.of("search")] == [2]


async def test_only_people_need_no_search_and_name_no_collection(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    recognizer.objects[b"frame"] = [found("person")]
    answer = await recognize(search)
    assert answer.objects[0].note
    assert list(answer.served.collections) == []
    assert index.of("search") == []
    assert list((await recognize(search, b"empty")).objects) == []


async def test_says_what_answered_and_how_long_each_stage_took(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    recognizer.objects[b"frame"] = [found("cup")]
    served = (await recognize(search)).served
    assert [(engine.model, engine.version) for engine in served.engines] == [("detector", "1"), (SPACE, "2")]
    assert list(served.collections) == [f"products__{SPACE}"]
    assert (served.picture.width, served.picture.height) == (640, 480)
    assert set(served.stages_ms) == {"queue", "decode", "recognizer", "search", "total"}
    assert all(milliseconds >= 0 for milliseconds in served.stages_ms.values())
    assert list((await region(search)).served.collections) == [f"products__{SPACE}"]


async def test_a_product_comes_once_with_its_best_picture(search: VisualSearch, index: FakeIndex) -> None:
    index.add(
        product_row("a", 0, near(b"cup", 0.9)),
        product_row("a", 1, near(b"cup", 0.1)),
        product_row("b", 0, near(b"cup", 0.5)),
        product_row("a", 2, near(b"cup", 0.6)),
    )
    matches = (await region(search)).matches
    assert ids(matches) == ["a", "b"]
    assert matches[0].picture_id == "picture-1"
    assert (matches[0].kind, matches[0].price, matches[0].merchant) == ("product", 9.5, "shop")


async def test_a_price_that_is_not_known_stays_absent(search: VisualSearch, index: FakeIndex) -> None:
    index.add(product_row("a", price=None))
    assert not (await region(search)).matches[0].HasField("price")


async def test_a_product_with_many_pictures_does_not_crowd_out_others(search: VisualSearch, index: FakeIndex) -> None:
    for product in range(5):
        index.add(*(product_row(f"many-{product}", n, near(b"cup", 0.01 * product)) for n in range(16)))
    index.add(product_row("other", vector=near(b"cup", 1)))
    answer = await region(search, top_k=6)
    assert ids(answer.matches) == [f"many-{n}" for n in range(5)] + ["other"]
    assert [limit for _, _, limit, _ in index.of("search")] == [16, 64, 256]
    assert answer.next_page_token == ""


async def test_products_with_many_pictures_are_all_reached_by_paging(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    """120 products of 16 pictures each: more than the index answers at once."""
    index.add(*(product_row(f"p{n:03}", k, near(b"cup", 0.01 * n)) for n in range(120) for k in range(16)))
    pages = await all_pages(search, recognizer, 50)
    assert pages == [[f"p{n:03}" for n in range(start, min(start + 50, 120))] for start in (0, 50, 100)]


async def test_each_object_goes_on_from_its_own_products(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    for name in (b"cup", b"bowl"):
        index.add(
            *(product_row(f"{name.decode()}-{n:03}", k, near(name, 0.01 * n)) for n in range(80) for k in range(16))
        )
    recognizer.objects[b"frame"] = [found("cup"), found("bowl", b"bowl", 0.8)]
    cup, bowl = (await recognize(search, top_k=75, filter=pb.Filter(max_price=10))).objects
    assert ids(cup.matches) == [f"cup-{n:03}" for n in range(75)]
    assert ids(bowl.matches) == [f"bowl-{n:03}" for n in range(75)]


async def test_min_score_is_inclusive_and_stops_the_asking(search: VisualSearch, index: FakeIndex) -> None:
    index.add(*(product_row(f"p{n:02}", vector=unit(1, 0.1 * n)) for n in range(40)))
    index.add(product_row("same", vector=embedding(b"cup")))
    answer = await region(search, min_score=1.0, top_k=50)
    assert ids(answer.matches) == ["same"]
    assert answer.matches[0].score <= 1
    assert answer.next_page_token == ""
    assert len(index.of("search")) == 1


async def test_scores_never_pass_one_and_fall(search: VisualSearch, index: FakeIndex) -> None:
    index.add(*(product_row(f"p{n}", vector=near(b"cup", 0.2 * n) * np.float32(1.0000002)) for n in range(9)))
    scores = [match.score for match in (await region(search)).matches]
    assert max(scores) <= 1
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("top_k", [1, 7, 10, 16])
async def test_pages_have_no_gap_and_no_repeat(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex, top_k: int
) -> None:
    index.add(*(product_row(f"p{n:02}", vector=near(b"cup", 0.02 * n)) for n in range(43)))
    pages = await all_pages(search, recognizer, top_k)
    assert sum(pages, []) == [f"p{n:02}" for n in range(43)]
    assert {len(page) for page in pages[:-1]} == {top_k}


@pytest.mark.parametrize("seed", range(4))
async def test_equal_scores_page_without_gap_or_repeat(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Thirty products share one picture; an index returns equals in any order, and rounds as it likes."""
    rows = [product_row(f"p{n:02}", vector=near(b"cup", 0.3 if n < 30 else 0.6)) for n in range(40)]
    index.add(*rows)
    chance = np.random.default_rng(seed)

    async def jumbled(collection: str, vectors: list[Vector], limit: int, expression: str, timeout_s: float) -> Any:
        exact = await FakeIndex.search(index, collection, vectors, 10_000, expression)
        noisy = [[type(hit)(hit.score + chance.normal() * 1e-8, hit.row) for hit in hits] for hits in exact]
        return [sorted(hits, key=lambda hit: -hit.score)[:limit] for hits in noisy]

    monkeypatch.setattr(index, "search", jumbled)
    pages = await all_pages(search, recognizer, 10)
    assert pages == [[f"p{n:02}" for n in range(start, start + 10)] for start in range(0, 40, 10)]


@pytest.fixture
def scattered(index: FakeIndex, monkeypatch: pytest.MonkeyPatch) -> FakeIndex:
    """Answers equals in an order that has nothing to do with their ids, the same every time."""

    def drawn(product_id: str) -> bytes:
        return hashlib.sha256(product_id.encode()).digest()

    async def search(collection: str, vectors: list[Vector], limit: int, expression: str, timeout_s: float) -> Any:
        found = await FakeIndex.search(index, collection, vectors, 100_000, expression)
        return [sorted(hits, key=lambda hit: (-hit.score, drawn(hit.row["product_id"])))[:limit] for hits in found]

    monkeypatch.setattr(index, "search", search)
    return index


async def test_any_number_of_products_may_share_a_picture(
    search: VisualSearch, recognizer: FakeRecognizer, scattered: FakeIndex
) -> None:
    scattered.add(product_row("best", vector=embedding(b"cup")))
    scattered.add(*(product_row(f"p{n:04}", vector=near(b"cup", 0.3)) for n in range(2500)))
    answer = await region(search, top_k=10)
    assert len(scattered.of("search")) == 4
    assert ids(answer.matches) == ["best", *sorted(ids(answer.matches)[1:])]
    pages = await all_pages(search, recognizer, 100)
    assert pages[0][:10] == ids(answer.matches)
    assert [len(set(page)) for page in pages] == [100] * 10
    assert len(set(sum(pages, []))) == 1000


async def test_equals_that_come_in_several_answers_page_without_gap_or_repeat(
    search: VisualSearch, recognizer: FakeRecognizer, scattered: FakeIndex
) -> None:
    """Of 16 pictures each, so that one answer holds 64 products: a later one's must not come between an earlier's."""
    scattered.add(*(product_row(f"p{n:03}", k, near(b"cup", 0.3)) for n in range(100) for k in range(16)))
    pages = await all_pages(search, recognizer, 25)
    assert [len(page) for page in pages] == [25] * 4
    assert sorted(sum(pages, [])) == [f"p{n:03}" for n in range(100)]


async def test_pages_end_at_a_thousand(search: VisualSearch, index: FakeIndex) -> None:
    index.add(*(product_row(f"p{n:04}", vector=near(b"cup", 0.001 * n)) for n in range(1010)))
    last = await region(search, page_token("matches", 950), top_k=100)
    assert len(last.matches) == 50
    assert last.next_page_token == ""


@pytest.mark.parametrize("position", [-5, 1000, 10**9])
async def test_a_made_up_position_is_refused(search: VisualSearch, position: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await region(search, page_token("matches", position))
    assert refused.value.reason is Reason.INVALID_PAGE_TOKEN


async def test_filters_reach_the_index(search: VisualSearch, index: FakeIndex) -> None:
    index.add(product_row("a", merchant='" or 1==1 or "'), product_row("b", merchant="other"))
    wanted = pb.Filter(merchants=['" or 1==1 or "'], max_price=10)
    assert ids((await region(search, filter=wanted)).matches) == ["a"]


async def test_a_region_means_exactly_that_region(search: VisualSearch, recognizer: FakeRecognizer) -> None:
    answer = await region(search)
    assert answer.region == REGION
    (call,) = recognizer.calls
    assert call.regions == ((REGION.x_min, REGION.y_min, REGION.x_max, REGION.y_max),)


async def test_searches_are_embedded_by_the_space_behind_the_alias(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    index.add_collection(space="embedder_other")
    recognizer.objects[b"frame"] = [found("cup")]
    assert list((await recognize(search)).served.collections) == ["products__embedder_other"]
    assert recognizer.calls[0].embedder == "embedder_other"


async def test_an_alias_that_is_switched_during_a_call_is_followed_by_the_next(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    """Vectors are searched in the collection that they were made for, whatever the alias says meanwhile."""

    class Switching(FakeIndex):
        async def meet(self) -> None:
            index.add_collection(space="embedder_new")

    recognizer.fault = Switching()  # type: ignore[assignment]
    assert (await region(search)).served.collections == [f"products__{SPACE}"]
    assert index.of("search")[0][0] == f"products__{SPACE}"
    assert (await region(search)).served.collections == ["products__embedder_new"]


async def test_vectors_of_another_width_are_never_searched(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    recognizer.objects[b"frame"] = [found("cup")]
    index.add_collection(size=SIZE + 1)
    for call in (recognize(search), region(search)):
        with pytest.raises(Unavailable, match="dimensions") as refused:
            await call
        assert refused.value.reason is Reason.SPACE_MISMATCH
    assert index.of("search") == []


async def test_a_missing_alias_is_made_once_in_the_default_space(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex, aliases: Aliases
) -> None:
    index.aliases.clear()
    await asyncio.gather(*(region(search) for _ in range(5)))
    assert index.of("create") == [("products", SPACE, SIZE)]
    assert index.aliases["products"] == Collection(f"products__{SPACE}", SPACE, SIZE)


async def test_a_default_space_that_is_not_loaded_makes_nothing(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    index.aliases.clear()
    recognizer.size_error = Unavailable(Reason.SPACE_NOT_LOADED, "load it")
    with pytest.raises(Unavailable, match="load it"):
        await region(search)
    assert index.aliases == {}


async def test_what_is_late_is_not_begun(search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex) -> None:
    request = pb.SearchRegionRequest(picture=b"cup", region=REGION)
    with pytest.raises(DeadlineExceeded):
        await search.search_region(request, Deadline.after(-1))
    assert index.of("search") == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"picture": b""}, Reason.INVALID_PICTURE),
        ({"picture": b"x" * 2049}, Reason.PICTURE_TOO_LARGE),
        ({"search": pb.SearchOptions(top_k=101)}, Reason.INVALID_ARGUMENT),
        ({"search": pb.SearchOptions(min_score=float("nan"))}, Reason.INVALID_ARGUMENT),
        ({"min_object_score": 2.0}, Reason.INVALID_ARGUMENT),
        ({"max_objects": 0}, Reason.INVALID_ARGUMENT),
        ({"key": "x" * 257}, Reason.INVALID_ARGUMENT),
        ({"key": "a\nb"}, Reason.INVALID_ARGUMENT),
        ({"search": pb.SearchOptions(filter=pb.Filter(min_price=2, max_price=1))}, Reason.INVALID_FILTER),
        ({"search": pb.SearchOptions(filter=pb.Filter.FromString(b"\x98\x06\x01"))}, Reason.INVALID_FILTER),
    ],
)
async def test_wrong_requests_are_refused_before_any_work(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex, fields: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(GatewayError) as refused:
        await search.recognize(pb.RecognizeRequest(**{"picture": b"cup", **fields}), Deadline.after(5))
    assert refused.value.reason is reason
    assert recognizer.calls == []
    assert index.calls == []
