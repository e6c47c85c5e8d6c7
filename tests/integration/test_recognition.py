"""Real frames through the real engines and the real index."""

import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageOps

from framelens_client import Box, Client, Filter, InvalidRequest

WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module", autouse=True)
def catalogue(client: Client, upsert_of: Callable) -> None:
    stored = client.upsert_products(
        [
            upsert_of("cup", "coffee.png", title="Cup", category="tableware", merchant="Kitchen", price=18.5),
            upsert_of("motorcycle", "motorcycle_left.png", category="vehicles", merchant="Wheels", price=4200.0),
            upsert_of("coins", "coins.png", category="collectibles", merchant='Old "Money"', price=75.0),
            upsert_of("rocket", "rocket.jpg", category="prints", merchant="Kitchen"),
        ]
    )
    assert [result.error for result in stored.results] == [None] * 4


@pytest.mark.parametrize(
    ("picture", "label", "product"),
    [("coffee.png", "cup", "cup"), ("motorcycle_right.png", "motorcycle", "motorcycle")],
)
def test_goods_lead_to_their_product(client: Client, jpeg: Callable, picture: str, label: str, product: str) -> None:
    first = client.recognize(jpeg(picture, quality=60)).objects[0]
    assert (first.label, first.route, first.matches[0].id) == (label, "products", product)


@pytest.mark.parametrize(("picture", "label"), [("chelsea.png", "cat"), ("astronaut.png", "person")])
def test_people_and_pets_are_for_videos_and_say_so(client: Client, sample: Callable, picture: str, label: str) -> None:
    first = client.recognize(sample(picture)).objects[0]
    assert (first.label, first.route, first.matches) == (label, "videos", ())
    assert "videos" in first.note


def test_an_answer_says_what_answered_and_how_long_it_took(client: Client, sample: Callable) -> None:
    served = client.recognize(sample("coffee.png")).served
    assert {engine.model: engine.version for engine in served.engines} == {
        "detector": "1",
        "embedder_effnet_lite0": "1",
    }
    assert served.collections == ("products__embedder_effnet_lite0",)
    assert set(served.stages_ms) >= {"decode", "resize", "detect", "nms", "crop", "embed", "queue", "search", "total"}
    assert (served.picture.width, served.picture.height) == (600, 400)


def test_a_region_means_exactly_that_region(client: Client, sample: Callable, jpeg: Callable) -> None:
    region = Box(0.25, 0.1, 0.7, 0.6)
    with Image.open(io.BytesIO(sample("coffee.png"))) as picture:
        width, height = picture.size
        cut = picture.convert("RGB").crop((150, 40, 420, 240))
        buffer = io.BytesIO()
        cut.save(buffer, "PNG")
    assert (width, height) == (600, 400)
    drawn = client.search_region(sample("coffee.png"), region).matches
    whole = client.search_region(buffer.getvalue(), WHOLE).matches
    assert [match.id for match in drawn] == [match.id for match in whole]
    assert drawn[0].score == pytest.approx(whole[0].score, abs=1e-3)


def test_orientation_is_applied_before_the_region(client: Client, sample: Callable) -> None:
    with Image.open(io.BytesIO(sample("coffee.png"))) as picture:
        turned = picture.convert("RGB").transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        turned.save(buffer, "PNG", exif=exif)
        assert ImageOps.exif_transpose(Image.open(io.BytesIO(buffer.getvalue()))).size == picture.size
    answer = client.recognize(buffer.getvalue())
    assert (answer.served.picture.width, answer.served.picture.height) == (600, 400)
    assert answer.objects[0].label == "cup"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(categories=("vehicles",)), {"motorcycle"}),
        (Filter(merchants=('Old "Money"',)), {"coins"}),
        (Filter(merchants=('" or 1 == 1 or merchant == "',)), set()),
        (Filter(categories=("\\",)), set()),
        (Filter(min_price=18.5, max_price=75.0), {"cup", "coins"}),
        (Filter(merchants=("Kitchen",), min_price=1.0), {"cup"}),
    ],
)
def test_filters_hold_whatever_their_values(client: Client, jpeg: Callable, wanted: Filter, expected: set) -> None:
    found = client.search_region(jpeg("coffee.png"), WHOLE, filter=wanted).matches
    assert {match.id for match in found} == expected


def test_pages_follow_each_other_without_gaps(client: Client, sample: Callable) -> None:
    everything = [match.id for match in client.search_region(sample("coffee.png"), WHOLE).matches]
    paged, token = [], ""
    while True:
        page = client.search_region(sample("coffee.png"), WHOLE, top_k=1, page_token=token)
        paged += [match.id for match in page.matches]
        token = page.next_page_token
        if not token:
            break
    assert paged == everything
    assert len(paged) == 4


def test_min_score_leaves_out_what_is_unlike(client: Client, sample: Callable) -> None:
    found = client.search_region(sample("coffee.png"), WHOLE, min_score=0.9).matches
    assert [match.id for match in found] == ["cup"]


@pytest.mark.parametrize("top_k", [0, -1, 101])
def test_top_k_has_bounds(client: Client, sample: Callable, top_k: int) -> None:
    with pytest.raises(InvalidRequest, match="top_k"):
        client.recognize(sample("coffee.png"), top_k=top_k)
