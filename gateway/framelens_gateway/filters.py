"""Builds Milvus filter expressions in which no value can leave its quotes.

Milvus Lite has no `filter_params`, so values are escaped here, and nowhere else.
"""

from collections.abc import Iterable
from decimal import Decimal

from framelens_client.v1 import framelens_pb2 as pb


def quoted(value: str) -> str:
    """A string literal of the expression language; control characters are refused by validation before this."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def one_of(field: str, values: Iterable[str]) -> str:
    return f"{field} in [{', '.join(quoted(value) for value in values)}]"


def none_of(field: str, values: Iterable[str]) -> str:
    return one_of(f"{field} not", values)


def number(value: float) -> str:
    """A finite number without an exponent, exactly as given."""
    return format(Decimal(repr(float(value))), "f")


def all_of(*conditions: str) -> str:
    return " and ".join(condition for condition in conditions if condition)


def filter_expression(wanted: pb.Filter) -> str:
    """The expression of a validated filter; empty when it asks for nothing."""
    return all_of(
        one_of("category", wanted.categories) if wanted.categories else "",
        one_of("merchant", wanted.merchants) if wanted.merchants else "",
        one_of("availability", wanted.availabilities) if wanted.availabilities else "",
        f"price >= {number(wanted.min_price)}" if wanted.HasField("min_price") else "",
        f"price <= {number(wanted.max_price)}" if wanted.HasField("max_price") else "",
    )
