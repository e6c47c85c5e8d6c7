"""What a collection of videos looks like in Milvus: one row for each object that was followed."""

from typing import Any

from pymilvus import DataType

# Longest values in bytes, as Milvus counts them.
VIDEO_FIELD_BYTES = {
    "video_id": 80,
    "account": 256,
    "title": 1024,
    "url": 2048,
    "label": 256,
    "picture_id": 64,
    # Of which indexing a row is: rows of two stand side by side while one takes the place of the other.
    "indexing": 16,
}
_NUMBERS = ("published_at", "start_s", "end_s", "at_s", "updated_at")
_FLOATS = ("score", "x_min", "y_min", "x_max", "y_max")
_ROW_ID_BYTES = VIDEO_FIELD_BYTES["video_id"] + VIDEO_FIELD_BYTES["indexing"] + 16
# What a hit is ranked and answered with, and no more.
VIDEO_HIT_FIELDS = (
    *("row_id", "video_id", "account", "title", "url", "label", "picture_id"),
    *("published_at", "start_s", "end_s", "at_s"),
)
VIDEO_FIELDS = ("row_id", *VIDEO_FIELD_BYTES, *_NUMBERS, *_FLOATS)


def add_video_fields(schema: Any) -> None:  # noqa: ANN401
    schema.add_field("row_id", DataType.VARCHAR, is_primary=True, max_length=_ROW_ID_BYTES)
    for name, length in VIDEO_FIELD_BYTES.items():
        schema.add_field(name, DataType.VARCHAR, max_length=length)
    for name in _NUMBERS:
        schema.add_field(name, DataType.DOUBLE)
    for name in _FLOATS:
        schema.add_field(name, DataType.FLOAT)
