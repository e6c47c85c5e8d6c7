"""Expressions in which no value can leave its quotes."""

from uuid import uuid4

import pytest
from gateway_fakes import SIZE, SPACE, product_row, unit

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.filters import all_of, filter_expression, none_of, number, one_of, quoted
from framelens_gateway.index import MilvusIndex

ODD = [
    'a" or 1==1 or "',
    '"',
    '""',
    "\\",
    '\\"',
    '\\\\"',
    "a\\",
    "\\n",
    "\\u0041",
    "\\x41",
    "A",
    "'",
    "' or 1==1 or '",
    "50%",
    "_",
    "%",
    "[a]",
    "{x}",
    "$meta",
    "a,b",
    '"] or category in ["cups',
    "é",
    "e\u0301",
    "漢字",
    "\U0001f600",
    " lead",
    "lead",
    "a//b#c--d",
    "and",
    "null",
    "1",
    "",
]
PRICES = [0.0, 1e-7, 0.1, 0.3, 0.1 + 0.2, 19.99, 1e6, 123456789.125, 1e12]


@pytest.mark.parametrize(
    ("value", "literal"),
    [("a", '"a"'), ('a"b', '"a\\"b"'), ("a\\", '"a\\\\"'), ('\\"', '"\\\\\\""'), ("ü%_[]'", '"ü%_[]\'"')],
)
def test_quotes_and_backslashes_are_escaped(value: str, literal: str) -> None:
    assert quoted(value) == literal


@pytest.mark.parametrize(("value", "text"), [(0.1, "0.1"), (1e-7, "0.0000001"), (1e12, "1000000000000"), (3, "3.0")])
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    assert float(number(value)) == value
    assert number(value).startswith(text)


def test_conditions_are_joined() -> None:
    wanted = pb.Filter(categories=["a", "b"], merchants=['"'], min_price=1, max_price=2)
    assert filter_expression(wanted) == (
        'category in ["a", "b"] and merchant in ["\\""] and price >= 1.0 and price <= 2.0'
    )
    assert filter_expression(pb.Filter()) == ""
    assert filter_expression(pb.Filter(availabilities=["in_stock", "preorder"])) == (
        'availability in ["in_stock", "preorder"]'
    )


async def collection(index: MilvusIndex) -> str:
    return (await index.create(f"filters_{uuid4().hex[:8]}", SPACE, SIZE)).name


async def test_milvus_finds_exactly_the_value_that_was_asked_for(milvus_index: MilvusIndex) -> None:
    """Unflushed and flushed rows are filtered by different code."""
    name = await collection(milvus_index)
    rows = [product_row(f"p{n}", merchant=value, category=value) for n, value in enumerate(ODD)]
    await milvus_index.upsert(name, rows)
    for _ in range(2):
        for value in ODD:
            wanted = filter_expression(pb.Filter(categories=[value], merchants=[value]))
            assert [row["merchant"] for row in await milvus_index.query(name, wanted, 100)] == [value]
            (hits,) = await milvus_index.search(name, [unit(1)], 100, wanted)
            assert [hit.row["merchant"] for hit in hits] == [value]
        everything = await milvus_index.query(name, filter_expression(pb.Filter(merchants=ODD)), 100)
        assert {row["merchant"] for row in everything} == set(ODD)
        await milvus_index.flush(name)


async def test_milvus_finds_odd_ids(milvus_index: MilvusIndex) -> None:
    name = await collection(milvus_index)
    ids = [value for value in ODD if value]
    await milvus_index.upsert(name, [product_row(value) for value in ids])
    for value in ids:
        rows = await milvus_index.query(name, one_of("product_id", [value]), 100)
        assert [row["product_id"] for row in rows] == [value]
        others = await milvus_index.query(name, none_of("product_id", [value, "not there"]), 100)
        assert {row["product_id"] for row in others} == {*ids} - {value}
        following = await milvus_index.query(name, all_of("ordinal == 0", f"product_id > {quoted(value)}"), 100)
        assert [row["product_id"] for row in following] == sorted(other for other in ids if other > value)


async def test_milvus_compares_prices_as_they_are(milvus_index: MilvusIndex) -> None:
    name = await collection(milvus_index)
    await milvus_index.upsert(name, [product_row(f"p{n}", price=price) for n, price in enumerate([*PRICES, None])])
    for bound in (*PRICES, -0.0):
        for wanted, expected in (
            (pb.Filter(min_price=bound, max_price=bound), [price for price in PRICES if price == bound]),
            (pb.Filter(min_price=bound), [price for price in PRICES if price >= bound]),
            (pb.Filter(max_price=bound), [price for price in PRICES if price <= bound]),
        ):
            rows = await milvus_index.query(name, filter_expression(wanted), 100)
            assert sorted(row["price"] for row in rows) == expected
