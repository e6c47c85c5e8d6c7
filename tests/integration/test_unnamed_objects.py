"""Things that the detector has no name for, found in photographs because the catalogue has them."""

import io
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import grpc
import pytest
from PIL import Image

from framelens_client import Client
from framelens_client.v1 import framelens_pb2 as pb
from framelens_client.v1 import framelens_pb2_grpc as pb_grpc

PRODUCTS = (
    "brick.png", "cell.png", "chessboard_RGB.png", "clock_motion.png", "coins.png", "color.png", "grass.png",
    "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png", "logo.png", "moon.png", "page.png", "phantom.png",
    "retina.jpg", "text.png",
)  # fmt: skip
WITHOUT_PRODUCT = ("camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
# A product, the photograph that it is pasted into, and where, in parts of the frame.
PASTED = (
    ("retina.jpg", "rocket.jpg", (0.1, 0.2)),
    ("logo.png", "coffee.png", (0.02, 0.05)),
)
NAMED = ("color.png", "chelsea.png", (0.05, 0.4))
_SIDE = 0.35

Ask = Callable[..., pb.RecognizeResponse]
Paste = Callable[[str, str, tuple[float, float]], bytes]


@pytest.fixture(scope="module")
def ask(
    start_stack: Callable[..., AbstractContextManager], tmp_path_factory: pytest.TempPathFactory, upsert_of: Callable
) -> Iterator[Ask]:
    """Asks a stack that has calibrated its catalogue."""
    with start_stack(tmp_path_factory.mktemp("unnamed")) as stack:
        with Client(stack["grpc"]) as client:
            stored = client.upsert_products([upsert_of(Path(each).stem, each) for each in PRODUCTS], timeout_s=120)
            assert not any(result.error for result in stored.results)
        _wait_for_threshold(stack["http"])
        with grpc.insecure_channel(stack["grpc"]) as channel:
            search = pb_grpc.VisualSearchStub(channel)
            yield lambda picture, **asked: search.Recognize(pb.RecognizeRequest(picture=picture, **asked), timeout=60)


@pytest.fixture
def paste(sample: Callable[[str], bytes]) -> Paste:
    """A frame in which a product is."""

    def make(product: str, background: str, at: tuple[float, float]) -> bytes:
        frame, thing = (Image.open(io.BytesIO(sample(name))).convert("RGB") for name in (background, product))
        side = round(_SIDE * frame.width)
        frame.paste(thing.resize((side, side)), (round(at[0] * frame.width), round(at[1] * frame.height)))
        buffer = io.BytesIO()
        frame.save(buffer, "JPEG", quality=85)
        return buffer.getvalue()

    return make


def _wait_for_threshold(http: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with urllib.request.urlopen(f"http://{http}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        values = [line.rpartition(" ")[2] for line in lines if line.startswith("framelens_unnamed_threshold{")]
        if values and float(values[0]) > 0:
            return
        time.sleep(0.5)
    raise AssertionError("the catalogue was not calibrated")


@pytest.mark.parametrize("pasted", PASTED, ids=lambda pasted: pasted[0])
def test_what_labels_miss_is_found_because_the_catalogue_has_it(ask: Ask, paste: Paste, pasted: tuple) -> None:
    picture = paste(*pasted)
    named, both = (ask(picture, unnamed_objects=unnamed).objects for unnamed in (False, True))
    assert Path(pasted[0]).stem not in [match.id for found in named for match in found.matches[:1]]
    assert list(both[: len(named)]) == list(named)
    (found,) = both[len(named) :]
    assert (found.label, found.route, found.matches[0].id) == ("object", "products", Path(pasted[0]).stem)
    assert found.matches[0].score >= found.match_threshold > 0
    x, y = pasted[2]
    assert x < (found.box.x_min + found.box.x_max) / 2 < x + _SIDE
    assert y < (found.box.y_min + found.box.y_max) / 2


def test_it_is_on_unless_a_request_says_otherwise(ask: Ask, paste: Paste) -> None:
    picture = paste(*PASTED[0])
    assert ask(picture).objects == ask(picture, unnamed_objects=True).objects != []


def test_what_a_label_has_found_is_not_said_twice(ask: Ask, paste: Paste) -> None:
    objects = ask(paste(*NAMED)).objects
    assert [found.matches[0].id for found in objects if found.matches] == ["color"]
    assert not any(found.label == "object" for found in objects)


@pytest.mark.parametrize("name", WITHOUT_PRODUCT)
def test_photographs_without_product_have_no_false_match(ask: Ask, sample: Callable, name: str) -> None:
    objects = ask(sample(name), unnamed_objects=True).objects
    assert not any(found.label == "object" for found in objects)


def test_search_options_apply(ask: Ask, paste: Paste) -> None:
    picture = paste(*PASTED[0])
    (found,) = ask(picture, search=pb.SearchOptions(top_k=2)).objects
    assert len(found.matches) == 2
    assert not ask(picture, search=pb.SearchOptions(min_score=0.99)).objects
    assert not ask(picture, search=pb.SearchOptions(filter=pb.Filter(categories=["hats"]))).objects
