import pytest

from framelens_gateway.main_object import main_object, prominence
from framelens_gateway.recognizer import WHOLE_PICTURE, Box, FoundObject

MIDDLE = Box(0.25, 0.25, 0.75, 0.75)
CORNER = Box(0.0, 0.0, 0.5, 0.5)
SPECK = Box(0.45, 0.45, 0.55, 0.55)


def seen(box: Box, score: float = 0.5) -> FoundObject:
    return FoundObject("cup", score, box, None)  # type: ignore[arg-type]


def test_nothing_found_is_the_whole_picture() -> None:
    assert main_object([]) == WHOLE_PICTURE


def test_a_speck_is_not_the_product_however_sure_the_detector_is() -> None:
    assert main_object([seen(SPECK, 1.0)]) == WHOLE_PICTURE
    assert main_object([seen(SPECK, 1.0), seen(CORNER, 0.3)]) == CORNER


@pytest.mark.parametrize(
    ("main", "other"),
    [
        (seen(MIDDLE, 0.9), seen(MIDDLE._replace(x_min=0.26), 0.4)),
        (seen(MIDDLE), seen(Box(0.4, 0.4, 0.6, 0.6), 0.9)),
        (seen(MIDDLE), seen(CORNER, 0.9)),
    ],
    ids=["surer", "larger", "more in the middle"],
)
def test_what_makes_an_object_the_main_one(main: FoundObject, other: FoundObject) -> None:
    assert main_object([other, main]) == main_object([main, other]) == main.box


def test_prominence_is_score_times_area_times_centrality() -> None:
    assert prominence(seen(WHOLE_PICTURE, 0.8)) == pytest.approx(0.8)
    assert prominence(seen(MIDDLE, 0.8)) == pytest.approx(0.8 * 0.25)
    assert prominence(seen(CORNER, 0.8)) == pytest.approx(0.8 * 0.25 * 0.5)
