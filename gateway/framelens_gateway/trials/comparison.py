"""Compares two answers to one request: the live engines' and the candidate's."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import product

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.geometry import overlap

_SAME_OBJECT_IOU = 0.5
_SHOWN = 3

Found = pb.RecognizedObject | pb.SearchRegionResponse


@dataclass(frozen=True)
class SearchComparison:
    """The matches of one object or region; `shift` is the candidate's best score minus the live one's."""

    agreed: bool
    overlap: float
    shift: float | None
    difference: str


@dataclass(frozen=True)
class Comparison:
    """`agreed` objects were found by both; `object_shifts` are their scores, candidate minus live."""

    live: int
    candidate: int
    agreed: int
    object_shifts: Sequence[float]
    searches: Sequence[SearchComparison]
    differences: Sequence[str]


def compare_recognitions(live: pb.RecognizeResponse, candidate: pb.RecognizeResponse) -> Comparison:
    places = _pairs(live.objects, candidate.objects)
    pairs = [(live.objects[a], candidate.objects[b]) for a, b in places.items()]
    searches = [
        _compare_matches(mine, other, mine.label)
        for mine, other in pairs
        if mine.route == other.route and not mine.note
    ]
    return Comparison(
        live=len(live.objects),
        candidate=len(candidate.objects),
        agreed=len(pairs),
        object_shifts=[other.score - mine.score for mine, other in pairs],
        searches=searches,
        differences=[
            *_unpaired("live", live.objects, places),
            *_unpaired("candidate", candidate.objects, set(places.values())),
            *(search.difference for search in searches if search.difference),
        ],
    )


def compare_regions(live: pb.SearchRegionResponse, candidate: pb.SearchRegionResponse) -> Comparison:
    search = _compare_matches(live, candidate, "region")
    return Comparison(0, 0, 0, (), (search,), (search.difference,) if search.difference else ())


def _pairs(live: Sequence[pb.RecognizedObject], candidate: Sequence[pb.RecognizedObject]) -> dict[int, int]:
    """Places of objects with one label whose boxes overlap, each in one pair, the best overlaps first."""
    overlaps = [
        (overlap(mine.box, other.box), a, b)
        for (a, mine), (b, other) in product(enumerate(live), enumerate(candidate))
        if mine.label == other.label
    ]
    pairs: dict[int, int] = {}
    for shared, a, b in sorted(overlaps, key=lambda each: -each[0]):
        if shared >= _SAME_OBJECT_IOU and a not in pairs and b not in pairs.values():
            pairs[a] = b
    return pairs


def _compare_matches(live: Found, candidate: Found, what: str) -> SearchComparison:
    mine, others = [match.id for match in live.matches], [match.id for match in candidate.matches]
    longest = max(len(mine), len(others))
    agreed = mine[:1] == others[:1]
    return SearchComparison(
        agreed=agreed,
        overlap=len(set(mine) & set(others)) / longest if longest else 1.0,
        shift=candidate.matches[0].score - live.matches[0].score if mine and others else None,
        difference="" if agreed else f"{what}: best match {_best(mine)} live, {_best(others)} candidate",
    )


def _best(ids: Sequence[str]) -> str:
    return ids[0] if ids else "none"


def _unpaired(who: str, objects: Sequence[pb.RecognizedObject], paired: Container[int]) -> list[str]:
    alone = [found for at, found in enumerate(objects) if at not in paired]
    if not alone:
        return []
    shown = ", ".join(f"{found.label} {found.score:.2f}" for found in alone[:_SHOWN])
    more = f" and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else ""
    return [f"only {who}: {shown}{more}"]
