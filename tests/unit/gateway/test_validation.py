"""Every bound, on both of its sides."""

from typing import Any

import pytest

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import validation
from framelens_gateway.errors import InvalidRequest

NAN, INF = float("nan"), float("inf")


def refusal(work: Any, *arguments: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        work(*arguments)
    return refused.value


@pytest.mark.parametrize("fields", [{"top_k": 1}, {"top_k": 100}, {"min_score": -1}, {"min_score": 1}])
def test_search_options_within_bounds(fields: dict[str, Any]) -> None:
    validation.search_options(pb.SearchOptions(**fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"top_k": 0}, "top_k is 0; it must be in 1..100"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_k": 101}, "top_k is 101"),
        ({"min_score": -1.01}, "min_score is -1.0"),
        ({"min_score": 1.01}, "min_score is 1.0"),
        ({"min_score": NAN}, "min_score is NaN"),
        ({"min_score": INF}, "min_score is Infinity"),
    ],
)
def test_search_options_out_of_bounds(fields: dict[str, Any], said: str) -> None:
    refused = refusal(validation.search_options, pb.SearchOptions(**fields))
    assert (refused.reason, said in refused.message) == (Reason.INVALID_ARGUMENT, True)


def test_defaults() -> None:
    assert validation.search_options(pb.SearchOptions())[:2] == (10, -1.0)
    assert validation.objects_wanted(pb.RecognizeRequest()) == (0.5, 8)
    assert validation.page_size(pb.ListProductsRequest()) == 100


@pytest.mark.parametrize("fields", [{"min_object_score": 0}, {"min_object_score": 1}, {"max_objects": 32}])
def test_objects_within_bounds(fields: dict[str, Any]) -> None:
    validation.objects_wanted(pb.RecognizeRequest(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"min_object_score": -0.1},
        {"min_object_score": 1.1},
        {"min_object_score": NAN},
        {"max_objects": 0},
        {"max_objects": 33},
    ],
)
def test_objects_out_of_bounds(fields: dict[str, Any]) -> None:
    assert refusal(validation.objects_wanted, pb.RecognizeRequest(**fields)).reason is Reason.INVALID_ARGUMENT


def test_picture_sizes() -> None:
    assert validation.check_picture(b"12", 2) == b"12"
    assert refusal(validation.check_picture, b"", 2).reason is Reason.INVALID_PICTURE
    assert refusal(validation.check_picture, b"123", 2).reason is Reason.PICTURE_TOO_LARGE


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0.5, 0.5, 0.500001, 0.6)])
def test_regions_inside_the_picture(box: tuple[float, ...]) -> None:
    validation.region(pb.Box(**dict(zip(("x_min", "y_min", "x_max", "y_max"), box, strict=True))))


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((0, 0, 0, 0), "empty"),
        ((0.5, 0, 0.5, 1), "empty"),
        ((0.6, 0, 0.5, 1), "inverted"),
        ((0, 0.6, 1, 0.5), "inverted"),
        ((-0.01, 0, 1, 1), "outside"),
        ((0, 0, 1.01, 1), "outside"),
        ((0, 0, 100, 100), "outside"),
        ((NAN, 0, 1, 1), "finite"),
        ((0, 0, 1, INF), "finite"),
        ((-INF, 0, 1, 1), "finite"),
    ],
)
def test_regions_that_are_none(box: tuple[float, ...], said: str) -> None:
    refused = refusal(validation.region, pb.Box(**dict(zip(("x_min", "y_min", "x_max", "y_max"), box, strict=True))))
    assert (refused.reason, said in refused.message) == (Reason.INVALID_REGION, True)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"categories": ["x" * 256], "merchants": ["é" * 128]},
        {"categories": [str(n) for n in range(100)]},
        {"min_price": 0, "max_price": 0},
        {"min_price": 1e12, "max_price": 1e12},
        {"min_price": -0.0},
        {"categories": [""]},
    ],
)
def test_filters_within_bounds(fields: dict[str, Any]) -> None:
    validation.check_filter(pb.Filter(**fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"categories": ["x" * 257]}, "filter.categories has 257 bytes"),
        ({"merchants": ["é" * 129]}, "filter.merchants has 258 bytes"),
        ({"categories": [str(n) for n in range(101)]}, "101 values"),
        ({"merchants": ["a\x00b"]}, "control characters"),
        ({"merchants": ["a\nb"]}, "control characters"),
        ({"merchants": ["a\x1fb"]}, "control characters"),
        ({"merchants": ["a\x7fb"]}, "control characters"),
        ({"merchants": ["a\x85b"]}, "control characters"),
        ({"min_price": -0.01}, "min_price is -0.01"),
        ({"min_price": NAN}, "nan"),
        ({"max_price": INF}, "inf"),
        ({"max_price": 1.1e12}, "max_price"),
        ({"min_price": 2, "max_price": 1}, "above"),
        ({"availabilities": ["in_stock", "sold"]}, "'sold'; there are in_stock, out_of_stock, preorder, backorder"),
        ({"availabilities": [""]}, "''"),
        ({"availabilities": ["x" * 1000]}, "the limit is 16"),
    ],
)
def test_filters_out_of_bounds(fields: dict[str, Any], said: str) -> None:
    refused = refusal(validation.check_filter, pb.Filter(**fields))
    assert (refused.reason, said in refused.message) == (Reason.INVALID_FILTER, True)


def test_an_unknown_field_of_a_filter_is_not_left_out_silently() -> None:
    newer = pb.Filter(categories=["a"])
    newer.MergeFromString(b"\x98\x06\x01")
    refused = refusal(validation.check_filter, newer)
    assert (refused.reason, "99" in refused.message) == (Reason.INVALID_FILTER, True)
    many = pb.Filter.FromString(b"\x98\x06\x01" * 100_000)
    assert len(refusal(validation.check_filter, many).message) < 300


def product(**fields: Any) -> pb.ProductUpsert:
    return pb.ProductUpsert(product=pb.Product(**{"id": "p", **fields}), pictures=[pb.ReferencePicture()])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": "x" * 256},
        {"title": "é" * 512},
        {"url": "u" * 2048},
        {"price": 0},
        {"price": 1e12},
        {"currency": "EUR"},
        {"id": 'é "\\ / % #'},
        {"availability": "in_stock"},
        {"availability": "backorder", "boost": -0.2},
        {"boost": 0.2},
    ],
)
def test_products_within_bounds(fields: dict[str, Any]) -> None:
    validation.product(product(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": "x" * 257},
        {"id": "é" * 129},
        {"id": "a\tb"},
        {"title": "x" * 1025},
        {"title": "a\nb"},
        {"url": "u" * 2049},
        {"merchant": "x" * 257},
        {"category": "x" * 257},
        {"price": -1},
        {"price": NAN},
        {"price": INF},
        {"price": 1.01e12},
        {"currency": "eur"},
        {"currency": "EURO"},
        {"currency": "ÄÖÜ"},
        {"currency": "EUR\n"},
        {"currency": "x" * 9},
        {"availability": "sold"},
        {"availability": "IN_STOCK"},
        {"boost": 0.2001},
        {"boost": -0.21},
        {"boost": NAN},
        {"boost": INF},
    ],
)
def test_products_out_of_bounds(fields: dict[str, Any]) -> None:
    assert refusal(validation.product, product(**fields)).reason is Reason.INVALID_PRODUCT


@pytest.mark.parametrize(
    "fields",
    [
        {"price": -1},
        {"price": 0},
        {"title": ""},
        {"availability": ""},
        {"boost": 0},
        {"boost": -0.2, "currency": "EUR"},
    ],
)
def test_updates_within_bounds(fields: dict[str, Any]) -> None:
    validation.product_update(pb.ProductUpdate(id="p", **fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "changes nothing"),
        ({"price": NAN}, "price"),
        ({"price": -INF}, "price"),
        ({"price": 1.01e12}, "price"),
        ({"title": "x" * 1025}, "title has 1025 bytes"),
        ({"currency": "euro"}, "ISO 4217"),
        ({"availability": "gone"}, "in_stock, out_of_stock, preorder, backorder"),
        ({"boost": 0.3}, "-0.2..0.2"),
        ({"id": "", "price": 1}, "without id"),
    ],
)
def test_updates_out_of_bounds(fields: dict[str, Any], said: str) -> None:
    refused = refusal(validation.product_update, pb.ProductUpdate(**{"id": "p", **fields}))
    assert (refused.reason, said in refused.message) == (Reason.INVALID_PRODUCT, True)


def test_a_fault_of_a_product_leaves_the_id_to_its_result() -> None:
    for wrong in ({"currency": "euro"}, {"price": -1.0}, {"title": "x" * 100_000}):
        assert "sku-7" not in refusal(validation.product, product(id="sku-7", **wrong)).message


@pytest.mark.parametrize("name", ["id", "title", "url", "merchant", "category", "currency", "availability"])
@pytest.mark.parametrize("character", ["x", "\x00", "\U000e0001"])
def test_no_value_however_long_makes_a_long_message(name: str, character: str) -> None:
    assert len(refusal(validation.product, product(**{name: character * 1_000_000})).message) < 100


def test_a_region_that_is_missing_is_said_to_be_missing() -> None:
    missing = refusal(validation.searched_region, pb.SearchRegionRequest(picture=b"x"))
    assert missing.reason is Reason.INVALID_REGION
    assert "missing" in missing.message
    empty = refusal(validation.searched_region, pb.SearchRegionRequest(region=pb.Box()))
    assert "empty" in empty.message
    assert validation.searched_region(pb.SearchRegionRequest(region=pb.Box(x_max=1, y_max=1))) == (0, 0, 1, 1)


@pytest.mark.parametrize(("count", "good"), [(0, False), (1, True), (16, True), (17, False)])
def test_the_number_of_pictures_is_bounded(count: int, good: bool) -> None:
    upsert = pb.ProductUpsert(product=pb.Product(id="p"), pictures=[pb.ReferencePicture()] * count)
    if good:
        validation.product(upsert)
    else:
        assert f"{count} pictures" in refusal(validation.product, upsert).message


def test_ids_lose_their_repeats_and_keep_their_order() -> None:
    assert validation.product_ids(["b", "a", "b"]) == ["b", "a"]
    assert refusal(validation.product_ids, []).reason is Reason.INVALID_ARGUMENT
    assert "1001 ids" in refusal(validation.product_ids, [str(n) for n in range(1001)]).message
