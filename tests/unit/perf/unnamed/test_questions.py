"""What counts as found, and what as a false match."""

import pytest

from framelens_client import Box
from framelens_client.v1 import framelens_pb2 as pb
from framelens_perf.unnamed.questions import Asker, ask_photographs, ask_scenes, iou
from framelens_perf.unnamed.scenes import Scene

PLACE = Box(0.2, 0.2, 0.6, 0.6)
SCENE = Scene("a lamp in a room", b"frame", "lamp", PLACE)


def found(label: str, product: str, place: Box = PLACE, score: float = 0.8) -> pb.RecognizedObject:
    box = pb.Box(x_min=place.x_min, y_min=place.y_min, x_max=place.x_max, y_max=place.y_max)
    return pb.RecognizedObject(label=label, box=box, matches=[pb.Match(id=product, score=score)])


class FakeAsker(Asker):
    """Answers the same objects to everybody; those without a name only when they are asked for."""

    def __init__(self, *objects: pb.RecognizedObject) -> None:
        self.objects = objects
        self.asked: list[bool] = []

    def recognize(self, picture: bytes, unnamed: bool) -> tuple[pb.RecognizeResponse, float]:
        self.asked.append(unnamed)
        objects = [each for each in self.objects if unnamed or each.label != "object"]
        return pb.RecognizeResponse(objects=objects), 30.0 if unnamed else 20.0

    def first_of_region(self, picture: bytes, place: Box) -> str:
        return "lamp"


def counted(*objects: pb.RecognizedObject) -> tuple[int, int, int]:
    figures = ask_scenes(FakeAsker(*objects), [SCENE])
    return figures.found_by_labels, figures.found, figures.misled


def test_found_is_the_product_first_and_where_it_is() -> None:
    assert counted(found("vase", "lamp")) == (1, 1, 0)
    assert counted(found("object", "lamp")) == (0, 1, 0)
    assert counted(found("vase", "chair"), found("object", "lamp")) == (0, 1, 0)
    assert counted(found("object", "lamp", Box(0.5, 0.5, 0.9, 0.9))) == (0, 0, 0)
    assert counted(found("object", "chair")) == (0, 0, 1)
    assert counted(pb.RecognizedObject(label="person", box=pb.Box(x_max=1, y_max=1))) == (0, 0, 0)


def test_both_sides_are_asked_by_turns_and_compared_frame_by_frame() -> None:
    asker = FakeAsker(found("object", "lamp"))
    figures = ask_scenes(asker, [SCENE] * 4)
    assert sorted(asker.asked[:2]) == sorted(asker.asked[2:4]) == [False, True]
    assert asker.asked[0] is not asker.asked[2]
    assert (figures.added_ms, figures.times_found, figures.found_by_place) == (10.0, 4.0, 4)


def test_any_object_without_a_name_is_a_false_match_where_no_product_is() -> None:
    pictures = [("one", b"1"), ("two", b"2")]
    assert ask_photographs(FakeAsker(found("vase", "lamp")), pictures).share == 0
    figures = ask_photographs(FakeAsker(found("object", "lamp", score=0.61)), pictures)
    assert (figures.share, figures.matched[0]) == (1.0, "one: lamp 0.61")


@pytest.mark.parametrize(
    ("other", "expected"), [(PLACE, 1.0), (Box(0.4, 0.2, 0.8, 0.6), 1 / 3), (Box(0.7, 0, 1, 1), 0)]
)
def test_overlap(other: Box, expected: float) -> None:
    assert iou(found("object", "lamp").box, other) == pytest.approx(expected, abs=1e-6)
