"""The demo's check can fail: each kind of wrong answer is reported."""

import pytest

from framelens_client import Box, Match, RecognizedObject
from framelens_perf.answers import Answer
from framelens_perf.sample_frames import SampleFrame

FRAME = SampleFrame("frame", "picture.png", (), "cup", "mug", frozenset({"dining table"}))
BOX = Box(0.0, 0.0, 1.0, 1.0)


def found(label: str, *products: str) -> RecognizedObject:
    matches = tuple(Match("product", each, "", 0.9, "", "", "", None, "", "") for each in products)
    return RecognizedObject(label, 0.9, BOX, "products", matches, "", "")


@pytest.mark.parametrize(
    ("objects", "faults"),
    [
        ((found("cup", "mug", "plate"),), []),
        ((found("cup", "plate", "mug"),), ["frame: cup led to plate, expected mug"]),
        ((found("cup"),), ["frame: cup led to None, expected mug"]),
        ((found("cup", "mug"), found("bed")), ["frame: label bed"]),
        ((found("dining table", "plate"), found("cup", "mug")), []),
        ((found("dining table", "mug"),), ["frame: no cup was found"]),
        ((), ["frame: no cup was found"]),
    ],
)
def test_faults(objects: tuple[RecognizedObject, ...], faults: list[str]) -> None:
    assert Answer(FRAME, 1.0, {}, objects).faults() == faults
