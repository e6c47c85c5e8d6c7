"""One row of a catalogue, from any format: a picture of a product, with what the row says of the product.

What is wrong with one row rejects that row, not its file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from framelens_client.reasons import Reason
from framelens_client.region import parse_region
from framelens_client.results import Box, Product

TEXTS = ("title", "url", "merchant", "category", "currency", "availability")
COLUMNS = (
    "id",
    "title",
    "url",
    "merchant",
    "category",
    "price",
    "currency",
    "availability",
    "boost",
    "image",
    "region",
)

_PRICE = re.compile(r"-?(\d+(\.\d*)?|\.\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of a product; `line` is where the row starts in its file, counted from 1."""

    line: int
    product: Product
    image: str
    region: Box | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row is not stored; `id` is empty where the row has none that can be read."""

    line: int
    id: str
    reason: str
    message: str

    def __str__(self) -> str:
        product = f'product "{self.id}": ' if self.id else ""
        return f"line {self.line}: {product}{self.message}"


def row_of(line: int, cells: Mapping[str, str]) -> Row | Rejection:
    """`cells` are those of COLUMNS that there are, as text without spaces around it; a blank one says nothing."""
    if flaw := cell_flaw(line, cells):
        return flaw
    if not cells.get("image"):
        return rejected(line, "no image", cells["id"])
    try:
        region = parse_region(cells["region"]) if cells.get("region") else None
        return Row(line, _product(cells), cells["image"], region)
    except ValueError as error:
        return rejected(line, str(error), cells["id"])


def cell_flaw(line: int, cells: Mapping[str, str]) -> Rejection | None:
    """What speaks against a row, whatever it is about: text that cannot be sent, or no id."""
    if flaw := text_flaw(cells.items()):
        product_id = cells.get("id", "")
        return rejected(line, flaw, "" if text_flaw([("id", product_id)]) else product_id)
    return None if cells.get("id") else rejected(line, "no id")


def text_flaw(cells: Iterable[tuple[str, str]]) -> str:
    for column, cell in cells:
        if any("\ud800" <= char <= "\udfff" for char in cell):
            return f"bytes that are not UTF-8 in {column}"
        if "\0" in cell:
            return f"a NUL character in {column}"
    return ""


def price_of(text: str) -> float | None:
    """None of a blank cell. Raises ValueError."""
    if text and not _PRICE.fullmatch(text):
        raise ValueError(f"price {text!r} is not a number such as 19.90")
    return float(text) if text else None


def boost_of(text: str) -> float | None:
    """None of a blank cell. Raises ValueError."""
    if text and not _PRICE.fullmatch(text):
        raise ValueError(f"boost {text!r} is not a number such as 0.1")
    return float(text) if text else None


def rejected(line: int, message: str, product_id: str = "") -> Rejection:
    return Rejection(line, product_id, Reason.INVALID_PRODUCT, message)


def _product(cells: Mapping[str, str]) -> Product:
    texts = {name: cells.get(name, "") for name in TEXTS}
    price = price_of(cells.get("price", ""))
    if price is not None and price < 0:
        raise ValueError(f"price {cells['price']} is below 0")
    return Product(cells["id"], price=price, boost=boost_of(cells.get("boost", "")) or 0.0, **texts)
