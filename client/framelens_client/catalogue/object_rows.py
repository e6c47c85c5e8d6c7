"""Rows of catalogues whose records are objects: a picture of a product each, or a product with `pictures`."""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from framelens_client.catalogue.rows import COLUMNS, Rejection, Row, rejected, row_of

PICTURES = "pictures"
_OF_A_PICTURE = ("image", "region")
_CORNERS = ("x_min", "y_min", "x_max", "y_max")


class ObjectRows:
    """Makes rows of objects, and remembers the fields that it has no use for."""

    def __init__(self) -> None:
        self._unused: dict[str, None] = {}

    @property
    def unused_columns(self) -> tuple[str, ...]:
        return tuple(self._unused)

    def of(self, line: int, found: object) -> Iterator[Row | Rejection]:
        """One row for each picture; one rejection of an object that has none that could be told apart."""
        if not isinstance(found, dict):
            yield rejected(line, "not an object")
            return
        pictures = found.get(PICTURES)
        product_id = found["id"].strip() if isinstance(found.get("id"), str) else ""
        fields = {name: value for name, value in found.items() if name != PICTURES}
        if pictures is None:
            yield self._row(line, fields, product_id)
        elif not isinstance(pictures, list) or not pictures or not all(isinstance(each, dict) for each in pictures):
            yield rejected(line, "pictures is not a list of objects with an image each", product_id)
        elif any(fields.get(name) for name in _OF_A_PICTURE):
            yield rejected(line, "both pictures and an image or region; give one or the other", product_id)
        else:
            for picture in pictures:
                self._note(f"{PICTURES}.{name}" for name in picture if name not in _OF_A_PICTURE)
                own = {name: picture.get(name) for name in _OF_A_PICTURE}
                yield self._row(line, {**fields, **own}, product_id)

    def _row(self, line: int, fields: dict[str, Any], product_id: str) -> Row | Rejection:
        self._note(name for name in fields if name not in COLUMNS)
        try:
            cells = {name: _text(name, fields[name]) for name in COLUMNS if name in fields}
        except ValueError as error:
            return rejected(line, str(error), product_id)
        return row_of(line, cells)

    def _note(self, names: Iterator[str]) -> None:
        self._unused.update(dict.fromkeys(names))


def _text(name: str, value: object) -> str:
    """A value as a cell of CSV would have it. Raises ValueError."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if name == "region":
        return _region_text(value)
    return _number_text(name, value)


def _region_text(value: object) -> str:
    corners = [value.get(corner, 0.0) for corner in _CORNERS] if isinstance(value, dict) else value
    if not isinstance(corners, list | tuple):
        raise ValueError(f"region is {value!r}; it must be four numbers X1,Y1,X2,Y2")
    return ",".join(_number_text("region", corner) for corner in corners)


def _number_text(name: str, value: object) -> str:
    """Without an exponent."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not math.isfinite(value):
        raise ValueError(f"{name} is {_shown(value)}; it must be text or a number")
    return format(value if isinstance(value, Decimal) else Decimal(repr(value)), "f")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
