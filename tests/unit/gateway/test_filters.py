"""Expressions in which no value can leave its quotes."""

import pytest

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.filters import filter_expression, number, quoted


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
