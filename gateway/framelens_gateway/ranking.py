"""From hits, one for each reference picture, to products: the best hit of each, best first.

The best is the one that scores most or, where a search asks for that, the one whose score plus its product's boost is
most. A product's best hit is the one that scores most either way: all its pictures have one boost.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from framelens_gateway.deadline import Deadline
from framelens_gateway.filters import all_of, none_of
from framelens_gateway.gathering import all_or_first_failure
from framelens_gateway.index import Collection, Hit, Vector
from framelens_gateway.merging import SearchKey, SearchMerger
from framelens_gateway.validation import MAX_BOOST

# The most that every Milvus index type answers, GPU ones included.
_MAX_HITS = 1024
_SCORE_DIGITS = 5
# More hits than this are ranked on a thread: they take longer than others should wait for.
_FEW_HITS = 1024


@dataclass(frozen=True)
class Wanted:
    """`needed` products of a collection that the filter `expression` lets through, scored `min_score` or above.

    `min_score` is of scores alone, whatever the boosts.
    """

    collection: Collection
    expression: str
    needed: int
    min_score: float
    deadline: Deadline
    use_boost: bool = False

    def value(self, hit: Hit) -> float:
        """What hits are ranked by."""
        return round(score(hit) + boost(hit), _SCORE_DIGITS) if self.use_boost else score(hit)

    @property
    def rise(self) -> float:
        """How far a hit's value can be above its score."""
        return MAX_BOOST if self.use_boost else 0.0


class Ranking:
    """Asks the index until no product that is needed can be missing."""

    def __init__(self, merger: SearchMerger) -> None:
        self._merger = merger

    async def best(self, wanted: Wanted, vectors: Sequence[Vector]) -> list[list[Hit]]:
        """For each vector the best hit of each product, best first; as many as are needed, where there are so many.

        More hits are asked for where products with many pictures leave too few, and where hits that were cut off may
        be worth as much as one that is needed: which of the equals come would be by chance, and pages would not fit.
        With boosts those may score less by as much as a boost can be; every product that scores as much as one that
        is needed is then among the answers, so that `ranks_by_score` knows its place.
        """
        limit = _rounded_up(wanted.needed)
        while True:
            found = await self._search(wanted, wanted.expression, limit, vectors)
            ranked = await _ranked(found, wanted)
            cut = [_may_miss(hits, best, wanted, limit) for hits, best in zip(found, ranked, strict=True)]
            if not any(cut):
                return ranked
            if limit == _MAX_HITS:
                return await all_or_first_failure(map(self._beyond, [wanted] * len(vectors), vectors, found, ranked))
            limit = min(limit * 4, _MAX_HITS)

    async def _beyond(self, wanted: Wanted, vector: Vector, hits: list[Hit], best: list[Hit]) -> list[Hit]:
        """Where the index answers no more hits at once: what follows them, without the products that are found.

        It ends once there are as many as are needed, though others may score the same as the last: any number of
        products can share a picture. So equals that come together are in the order of ids, and those of a later
        answer after those of an earlier one, which every page asks for alike. With boosts all of a later answer come
        after all of an earlier one: of more hits than the index answers, the best by their scores are ranked first.
        """
        while len(best) < wanted.needed and _may_miss(hits, best, wanted, _MAX_HITS):
            wanted.deadline.remaining("search")
            others = none_of("product_id", (hit.row["product_id"] for hit in best))
            (hits,) = await self._search(wanted, all_of(wanted.expression, others), _MAX_HITS, [vector])
            (more,) = await _ranked([hits], wanted)
            best = [*best, *more] if wanted.use_boost else sorted([*best, *more], key=score, reverse=True)
        return best

    async def _search(self, wanted: Wanted, expression: str, limit: int, vectors: Sequence[Vector]) -> list[list[Hit]]:
        return await self._merger.search(SearchKey(wanted.collection.name, expression, limit), vectors, wanted.deadline)


def score(hit: Hit) -> float:
    """Without what rounding in the index adds or takes: equals are equal, and none is above one."""
    return min(round(hit.score, _SCORE_DIGITS), 1.0)


def boost(hit: Hit) -> float:
    return round(float(hit.row["boost"]), _SCORE_DIGITS)


def ranks_by_score(best: Sequence[Hit]) -> dict[str, int]:
    """The rank, from 1, that each product would have without boosts."""
    return {hit.row["product_id"]: rank for rank, hit in enumerate(sorted(best, key=_by_score), 1)}


async def _ranked(found: list[list[Hit]], wanted: Wanted) -> list[list[Hit]]:
    def rank() -> list[list[Hit]]:
        return [_best_of_each_product(hits, wanted) for hits in found]

    return rank() if sum(map(len, found)) <= _FEW_HITS else await asyncio.to_thread(rank)


def _rounded_up(count: int) -> int:
    """The next of few limits, so that searches with different top_k share calls."""
    limit = 16
    while limit < count:
        limit *= 4
    return min(limit, _MAX_HITS)


def _may_miss(hits: Sequence[Hit], best: Sequence[Hit], wanted: Wanted, limit: int) -> bool:
    """Whether hits beyond the limit could be among the products that are needed."""
    if len(hits) < limit or score(hits[-1]) < round(wanted.min_score, _SCORE_DIGITS):
        return False
    reached = round(score(hits[-1]) + wanted.rise, _SCORE_DIGITS)
    return len(best) < wanted.needed or wanted.value(best[wanted.needed - 1]) <= reached


def _best_of_each_product(hits: Sequence[Hit], wanted: Wanted) -> list[Hit]:
    """Hits above the score, one for each product; equals in the order of ids, so that answers repeat."""
    best: dict[str, Hit] = {}
    min_score = round(wanted.min_score, _SCORE_DIGITS)
    for hit in sorted(hits, key=_by_score):
        if score(hit) >= min_score:
            best.setdefault(hit.row["product_id"], hit)
    if not wanted.use_boost:
        return list(best.values())
    return sorted(best.values(), key=lambda hit: (-wanted.value(hit), hit.row["product_id"]))


def _by_score(hit: Hit) -> tuple[float, str, int]:
    return -score(hit), hit.row["product_id"], hit.row["ordinal"]
