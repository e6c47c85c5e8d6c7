"""Ranking by score plus boost: exact, reported, and off unless asked for."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from gateway_fakes import FakeIndex, embedding, product_row, unit

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.index import Collection, Row, Vector
from framelens_gateway.visual_search import VisualSearch

REGION = pb.Box(x_max=1, y_max=1)
CUP = embedding(b"cup")


def at(score: float) -> Vector:
    """A vector at just this cosine to the cup's."""
    across = np.roll(CUP, 1) - (np.roll(CUP, 1) @ CUP) * CUP
    return unit(*(score * CUP + np.sqrt(1 - score**2) * across / np.linalg.norm(across)))


async def region(search: VisualSearch, token: str = "", **options: Any) -> pb.SearchRegionResponse:
    request = pb.SearchRegionRequest(
        picture=b"cup", region=REGION, search=pb.SearchOptions(**options), page_token=token
    )
    return await search.search_region(request, Deadline.after(5))


async def all_pages(search: VisualSearch, **options: Any) -> list[list[pb.Match]]:
    pages, token = [], ""
    while True:
        answer = await region(search, token, **options)
        pages.append(list(answer.matches))
        token = answer.next_page_token
        if not token:
            return pages


def ids(matches: Iterable[pb.Match]) -> list[str]:
    return [match.id for match in matches]


async def test_a_boost_counts_only_where_it_is_asked_for(search: VisualSearch, index: FakeIndex) -> None:
    index.add(product_row("a", vector=at(0.8)), product_row("b", vector=at(0.7), boost=0.15))
    plain = (await region(search)).matches
    assert ids(plain) == ["a", "b"]
    assert not any(match.HasField("boost") or match.HasField("rank_without_boost") for match in plain)
    boosted = (await region(search, use_boost=True)).matches
    assert ids(boosted) == ["b", "a"]
    assert [match.rank_without_boost for match in boosted] == [2, 1]
    assert [match.boost for match in boosted] == [pytest.approx(0.15), 0]
    assert all(match.HasField("boost") for match in boosted)
    assert [match.score for match in boosted] == [pytest.approx(0.7, abs=1e-4), pytest.approx(0.8, abs=1e-4)]


async def test_a_product_may_be_moved_down(search: VisualSearch, index: FakeIndex) -> None:
    index.add(product_row("a", vector=at(0.8), boost=-0.2), product_row("b", vector=at(0.7)))
    assert ids((await region(search, use_boost=True)).matches) == ["b", "a"]


async def test_the_best_picture_is_the_one_that_scores_most(search: VisualSearch, index: FakeIndex) -> None:
    index.add(*(product_row("a", n, at(score), boost=0.1) for n, score in enumerate([0.5, 0.75, 0.6])))
    index.add(product_row("b", vector=at(0.8)))
    first = (await region(search, use_boost=True)).matches[0]
    assert (first.id, first.picture_id) == ("a", "picture-1")


async def test_min_score_is_of_the_score_alone(search: VisualSearch, index: FakeIndex) -> None:
    index.add(product_row("a", vector=at(0.7), boost=-0.2), product_row("b", vector=at(0.55), boost=0.2))
    assert ids((await region(search, use_boost=True, min_score=0.6)).matches) == ["a"]


async def test_one_beyond_the_first_hits_rises_to_the_top(search: VisualSearch, index: FakeIndex) -> None:
    """A re-ranking of the first 16 hits would not see it."""
    index.add(*(product_row(f"p{n:03}", vector=at(0.8 - 0.001 * n)) for n in range(150)))
    index.add(product_row("risen", vector=at(0.645), boost=0.2))
    match = (await region(search, use_boost=True, top_k=3)).matches[0]
    assert (match.id, match.rank_without_boost) == ("risen", 151)
    assert [limit for _, _, limit, _ in index.of("search")] == [16, 64, 256]


async def test_no_more_is_asked_than_boosts_can_change(search: VisualSearch, index: FakeIndex) -> None:
    index.add(*(product_row(f"p{n:03}", vector=at(0.95 - 0.02 * n)) for n in range(40)))
    await region(search, use_boost=True, top_k=3)
    assert [limit for _, _, limit, _ in index.of("search")] == [16]


def expected(rows: list[Row]) -> list[tuple[str, int]]:
    """Ids in the order of score plus boost, each with its rank by score: by the definition, over every row."""
    best: dict[str, tuple[float, float]] = {}
    for row in rows:
        score = round(float(row["embedding"] @ CUP), 5)
        value = round(score + row["boost"], 5)
        best[row["product_id"]] = max(best.get(row["product_id"], (-9.0, 0.0)), (score, value))
    by_score = sorted(best, key=lambda each: (-best[each][0], each))
    return [(each, by_score.index(each) + 1) for each in sorted(best, key=lambda each: (-best[each][1], each))]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("top_k", [1, 7, 100])
async def test_answers_and_pages_are_those_of_an_exact_ranking(
    search: VisualSearch, index: FakeIndex, seed: int, top_k: int
) -> None:
    chance = np.random.default_rng(seed)
    rows = []
    for n in range(300):
        boost = float(chance.choice([0, 0, 0, 0.2, -0.2, 0.1, round(chance.uniform(-0.2, 0.2), 2)]))
        # Coarse, so that many are equal.
        scores = [round(chance.uniform(0.1, 0.9), 2) for _ in range(chance.integers(1, 4))]
        rows += [product_row(f"p{n:03}", k, at(score), boost=boost) for k, score in enumerate(scores)]
    index.add(*rows)
    exact = expected(rows)[:100] if top_k == 1 else expected(rows)
    pages = []
    token = ""
    while len(pages) < len(exact):
        answer = await region(search, token, use_boost=True, top_k=top_k)
        pages += [(match.id, match.rank_without_boost) for match in answer.matches]
        token = answer.next_page_token
        if not token:
            break
    assert pages[: len(exact)] == exact


async def test_more_equals_than_the_index_answers_page_without_gap_or_repeat(
    search: VisualSearch, index: FakeIndex
) -> None:
    """Where more hits than 1024 are as near as boosts reach, those beyond follow the others."""
    rows = [product_row(f"p{n:04}", vector=at(0.8 - 0.0001 * n), boost=0.2 if n % 7 == 0 else 0.0) for n in range(1000)]
    rows += [product_row("many", k, at(0.9 - 0.001 * k), boost=-0.1) for k in range(16)]
    rows += [product_row(f"q{n:02}", k, at(0.85), boost=-0.05) for n in range(30) for k in range(16)]
    index.add(*rows)
    pages = await all_pages(search, use_boost=True, top_k=100)
    shown = ids(sum(pages, []))
    assert len(shown) == len(set(shown)) == 1000
    assert {match.rank_without_boost for match in sum(pages, [])} <= set(range(1, 1032))


async def test_a_collection_of_an_earlier_version_has_no_boosts_and_no_availability(
    search: VisualSearch, index: FakeIndex
) -> None:
    live = index.aliases["products"]
    index.aliases["products"] = Collection(live.name, live.space, live.size, ("availability", "boost"))
    with pytest.raises(InvalidRequest, match="no boost; move to a new one with `framelens-index rebuild") as refused:
        await region(search, use_boost=True)
    assert refused.value.reason is Reason.INVALID_ARGUMENT
    with pytest.raises(InvalidRequest, match="no availability") as refused:
        await region(search, filter=pb.Filter(availabilities=["in_stock"]))
    assert refused.value.reason is Reason.INVALID_FILTER
    await region(search)


async def test_a_match_says_its_availability_and_can_be_filtered_by_it(search: VisualSearch, index: FakeIndex) -> None:
    index.add(
        product_row("a", vector=at(0.8), availability="out_of_stock"),
        product_row("b", vector=at(0.7), availability="in_stock"),
        product_row("c", vector=at(0.6)),
    )
    assert [match.availability for match in (await region(search)).matches] == ["out_of_stock", "in_stock", ""]
    wanted = pb.Filter(availabilities=["in_stock", "preorder"])
    assert ids((await region(search, filter=wanted)).matches) == ["b"]
