"""Two answers to one request, compared."""

import pytest

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.geometry import overlap as iou
from framelens_gateway.trials.comparison import compare_recognitions, compare_regions


def thing(
    label: str, x: float, matches: str = "", score: float = 0.9, match_score: float = 0.8, note: str = ""
) -> pb.RecognizedObject:
    """Ten per cent wide, as high as the picture."""
    box = pb.Box(x_min=x, x_max=x + 0.1, y_max=1)
    found = [pb.Match(id=each, score=match_score) for each in matches]
    return pb.RecognizedObject(label=label, score=score, box=box, route="products", matches=found, note=note)


def answer(*objects: pb.RecognizedObject) -> pb.RecognizeResponse:
    return pb.RecognizeResponse(objects=objects)


def test_the_same_answer_agrees_in_everything() -> None:
    same = answer(thing("cup", 0.1, "ab"), thing("bowl", 0.5, ""))
    found = compare_recognitions(same, same)
    assert (found.live, found.candidate, found.agreed) == (2, 2, 2)
    assert list(found.object_shifts) == [0, 0]
    assert [(each.agreed, each.overlap, each.shift) for each in found.searches] == [(True, 1, 0), (True, 1, None)]
    assert found.differences == []


def test_nothing_found_by_both_is_no_difference() -> None:
    found = compare_recognitions(answer(), answer())
    assert (found.live, found.candidate, found.agreed, found.differences) == (0, 0, 0, [])


@pytest.mark.parametrize(
    ("other", "agreed"), [(thing("cup", 0.13), 1), (thing("cup", 0.14), 0), (thing("bowl", 0.1), 0)]
)
def test_an_object_is_the_same_with_its_label_and_half_the_box(other: pb.RecognizedObject, agreed: int) -> None:
    found = compare_recognitions(answer(thing("cup", 0.1)), answer(other))
    assert found.agreed == agreed
    assert len(found.differences) == (0 if agreed else 2)


def test_each_object_is_in_one_pair_and_the_best_overlap_comes_first() -> None:
    live = answer(thing("cup", 0.10, "a"), thing("cup", 0.12, "b"))
    other = answer(thing("cup", 0.12, "b"), thing("cup", 0.10, "a"), thing("cup", 0.11))
    found = compare_recognitions(live, other)
    assert (found.agreed, [each.agreed for each in found.searches]) == (2, [True, True])
    assert found.differences == ["only candidate: cup 0.90"]


def test_matches_are_compared_for_objects_of_both() -> None:
    live = answer(thing("cup", 0.1, "abcd", 0.9, 0.8), thing("bowl", 0.5, "x"))
    other = answer(thing("cup", 0.1, "bcde", 0.7, 0.5))
    found = compare_recognitions(live, other)
    (search,) = found.searches
    assert (search.agreed, search.overlap) == (False, 0.75)
    assert search.shift == pytest.approx(-0.3)
    assert found.object_shifts[0] == pytest.approx(-0.2)
    assert found.differences == ["only live: bowl 0.90", "cup: best match a live, b candidate"]


def test_objects_without_an_index_are_not_searched() -> None:
    person = thing("person", 0.1, note="no videos are indexed yet")
    assert compare_recognitions(answer(person), answer(person)).searches == []


def test_many_objects_are_named_in_few_words() -> None:
    found = compare_recognitions(answer(*(thing(f"l{n}", n / 10) for n in range(7))), answer())
    assert found.differences == ["only live: l0 0.90, l1 0.90, l2 0.90 and 4 more"]


def test_regions_are_compared_by_their_matches() -> None:
    live = pb.SearchRegionResponse(matches=[pb.Match(id="a", score=0.9), pb.Match(id="b", score=0.5)])
    other = pb.SearchRegionResponse(matches=[pb.Match(id="a", score=0.8)])
    found = compare_regions(live, other)
    assert (found.live, found.candidate, found.agreed) == (0, 0, 0)
    assert (found.searches[0].agreed, found.searches[0].overlap) == (True, 0.5)
    assert compare_regions(live, pb.SearchRegionResponse()).differences == (
        "region: best match a live, none candidate",
    )


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (pb.Box(x_max=1, y_max=1), 1),
        (pb.Box(x_max=0.5, y_max=1), 0.5),
        (pb.Box(x_min=0.5, y_min=0.5, x_max=1, y_max=1), 0.25),
        (pb.Box(x_min=1, x_max=2, y_max=1), 0),
        (pb.Box(), 0),
    ],
)
def test_iou(other: pb.Box, expected: float) -> None:
    assert iou(pb.Box(x_max=1, y_max=1), other) == pytest.approx(expected)
    assert iou(pb.Box(), pb.Box()) == 0
