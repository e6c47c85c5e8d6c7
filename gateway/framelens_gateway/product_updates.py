"""What an update of a product makes of its rows: vectors, regions and crops stay as they are."""

from typing import Any

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.index import Row

_FIELDS = ("title", "url", "merchant", "category", "price", "currency", "availability", "boost")


def changes_of(update: pb.ProductUpdate) -> dict[str, Any]:
    """The fields that change, with what they become."""
    changes = {name: getattr(update, name) for name in _FIELDS if update.HasField(name)}  # type: ignore[arg-type]
    if changes.get("price", 0) < 0:
        changes["price"] = None
    return changes


def updated(row: Row, changes: dict[str, Any], written_at: dict[str, float], now: float) -> Row:
    """The row as it is to be written, where `written_at` is when the live collection's rows were, before this.

    By the time of a row a copy is told from its original. One that is of another write than the live collection's own
    keeps its time, so that whoever levels the two still sees that they differ.
    """
    level = written_at.setdefault(row["row_id"], row["updated_at"]) == row["updated_at"]
    return {**row, **changes, "updated_at": now if level else row["updated_at"]}
