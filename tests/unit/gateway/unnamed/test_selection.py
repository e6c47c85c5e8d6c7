"""What becomes of boxes without a name."""

import asyncio

import numpy as np
import pytest
from gateway_fakes import SPACE, UNNAMED_BOXES, FakeIndex, FakeRecognizer, embedding, product_row, unit

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.index import Collection, Vector
from framelens_gateway.metrics import Metrics
from framelens_gateway.recognizer import Box, FoundObject
from framelens_gateway.unnamed.calibrations import Calibrations
from framelens_gateway.unnamed.selection import Sought
from framelens_gateway.visual_search import VisualSearch

LEFT, RIGHT = Box(0.0, 0.0, 0.4, 1.0), Box(0.6, 0.0, 1.0, 1.0)
PART_OF_LEFT = Box(0.05, 0.1, 0.35, 0.9)
THRESHOLD = 0.9


class Calibrated(Calibrations):
    """To a threshold of the test's."""

    value: float | None = THRESHOLD

    def threshold(self, collection: Collection) -> float | None:
        return self.value


@pytest.fixture
def calibrations(index: FakeIndex, metrics: Metrics) -> Calibrated:
    return Calibrated(index, UNNAMED_BOXES, 0.02, metrics.unnamed)


@pytest.fixture
def goods(index: FakeIndex) -> None:
    index.add(product_row("lamp"), product_row("chair"))


def like(product: str, cosine: float = 1.0) -> Vector:
    """A vector at a cosine to a product's picture, and far from the others."""
    base = embedding(product.encode())
    other = np.roll(base, 1)
    other -= (other @ base) * base
    return unit(*(cosine * base + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)))


def box(label: str, place: Box, vector: Vector, score: float = 0.1) -> FoundObject:
    return FoundObject(label, score, place, vector)


def unnamed(place: Box, vector: Vector) -> FoundObject:
    return box("object", place, vector)


async def recognized(searching: VisualSearch, **fields: object) -> pb.RecognizeResponse:
    return await searching.recognize(pb.RecognizeRequest(picture=b"frame", **fields), Deadline.after(5))


def shown(answer: pb.RecognizeResponse) -> list[tuple[str, str]]:
    return [(found.label, found.matches[0].id) for found in answer.objects]


@pytest.mark.usefixtures("goods")
async def test_one_is_kept_when_its_best_product_reaches_the_threshold(
    search: VisualSearch, recognizer: FakeRecognizer, metrics: Metrics
) -> None:
    recognizer.objects[b"frame"] = [
        box("cup", RIGHT, like("lamp", 0.2), 0.9),
        unnamed(LEFT, like("lamp", 0.95)),
        unnamed(RIGHT, like("chair", 0.85)),
    ]
    answer = await recognized(search)
    assert [found.label for found in answer.objects] == ["cup", "object"]
    named, kept = answer.objects
    assert not named.HasField("match_threshold")
    assert (kept.matches[0].id, kept.route, kept.match_threshold) == ("lamp", "products", pytest.approx(THRESHOLD))
    assert recognizer.calls[0].unnamed == UNNAMED_BOXES
    counted = metrics.registry.get_sample_value
    assert [counted("framelens_unnamed_boxes_total", {"outcome": each}) for each in ("kept", "unlike")] == [1, 1]


@pytest.mark.usefixtures("goods")
@pytest.mark.parametrize(
    ("asked", "calibrated"), [({"unnamed_objects": False}, THRESHOLD), ({}, None), ({"unnamed_objects": True}, None)]
)
async def test_none_is_asked_for_where_the_request_or_the_collection_has_none(
    search: VisualSearch,
    recognizer: FakeRecognizer,
    calibrations: Calibrated,
    asked: dict[str, bool],
    calibrated: float | None,
) -> None:
    calibrations.value = calibrated
    recognizer.objects[b"frame"] = [unnamed(LEFT, like("lamp"))]
    assert not (await recognized(search, **asked)).objects
    assert recognizer.calls[0].unnamed == 0


@pytest.mark.usefixtures("goods")
async def test_of_two_with_one_product_the_better_is_kept_and_the_best_comes_first(
    search: VisualSearch, recognizer: FakeRecognizer
) -> None:
    recognizer.objects[b"frame"] = [
        unnamed(LEFT, like("lamp", 0.92)),
        unnamed(RIGHT, like("lamp", 0.99)),
        unnamed(PART_OF_LEFT, like("chair", 0.95)),
    ]
    answer = await recognized(search)
    assert shown(answer) == [("object", "lamp"), ("object", "chair")]
    assert answer.objects[0].box.x_min == pytest.approx(RIGHT.x_min)


@pytest.mark.usefixtures("goods")
@pytest.mark.parametrize(("place", "kept"), [(PART_OF_LEFT, 1), (RIGHT, 2)])
async def test_what_a_named_object_led_to_is_not_said_twice(
    search: VisualSearch, recognizer: FakeRecognizer, place: Box, kept: int
) -> None:
    recognizer.objects[b"frame"] = [box("vase", LEFT, like("lamp"), 0.9), unnamed(place, like("lamp", 0.95))]
    assert len((await recognized(search)).objects) == kept


@pytest.mark.usefixtures("goods")
async def test_search_options_apply(search: VisualSearch, recognizer: FakeRecognizer) -> None:
    recognizer.objects[b"frame"] = [unnamed(LEFT, like("lamp", 0.95))]
    for options in (pb.SearchOptions(min_score=0.97), pb.SearchOptions(filter=pb.Filter(categories=["hats"]))):
        assert not (await recognized(search, search=options)).objects
    (found,) = (await recognized(search, search=pb.SearchOptions(top_k=1))).objects
    assert len(found.matches) == 1


@pytest.mark.usefixtures("goods")
async def test_the_most_objects_bound_the_named_ones_alone(search: VisualSearch, recognizer: FakeRecognizer) -> None:
    recognizer.objects[b"frame"] = [box("cup", RIGHT, like("chair"), 0.9)] * 3 + [unnamed(LEFT, like("lamp"))]
    assert shown(await recognized(search, max_objects=2)) == [("cup", "chair")] * 2 + [("object", "lamp")]


@pytest.mark.usefixtures("goods")
async def test_all_are_searched_in_one_call_which_the_answer_names(
    search: VisualSearch, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    recognizer.objects[b"frame"] = [box("cup", RIGHT, like("chair"), 0.9), unnamed(LEFT, like("lamp", 0.1))]
    await recognized(search)
    assert [count for _, count, _, _ in index.of("search")] == [2]
    recognizer.objects[b"frame"] = [unnamed(LEFT, like("lamp", 0.1))]
    answer = await recognized(search)
    assert not answer.objects
    assert list(answer.served.collections) == [f"products__{SPACE}"]


def test_where_none_is_sought_objects_are_as_they_are() -> None:
    # A detector of one's own may call something `object`.
    found = [pb.RecognizedObject(label="object")]
    assert Sought(0, 0.5).kept(found) == found


async def test_nothing_waits_for_a_calibration(index: FakeIndex, metrics: Metrics) -> None:
    gate = asyncio.Event()
    index.fail("products", gate=gate)
    slow = Calibrations(index, UNNAMED_BOXES, 0.02, metrics.unnamed)
    watching = asyncio.create_task(slow.watch())
    await asyncio.sleep(0)
    assert slow.threshold(index.aliases["products"]) is None
    watching.cancel()
