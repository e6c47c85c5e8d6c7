"""Reads the CSV that Google's Vision API Product Search imports, as it is.

Columns, by place, or by name where the first line names them: image-uri, image-id, product-set-id, product-id,
product-category, product-display-name, labels, bounding-poly
(https://cloud.google.com/vision/product-search/docs/csv-format).
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TextIO

from framelens_client.catalogue.csv_rows import records
from framelens_client.catalogue.rows import Rejection, Row, cell_flaw, rejected, row_of

COLUMNS = (
    "image-uri",
    "image-id",
    "product-set-id",
    "product-id",
    "product-category",
    "product-display-name",
    "labels",
    "bounding-poly",
)
# Those that may be left off at the end of a row begin after these.
_LEAST_COLUMNS = 5
# Labels that say what a field of a product does.
_FIELD_LABELS = ("price", "currency", "merchant", "url", "availability", "boost")
_BUCKET = re.compile(r"gs://[^/]*/")


def is_header(fields: Sequence[str]) -> bool:
    """Whether a first line names columns of this format."""
    return COLUMNS[0] in [_column(field) for field in fields]


class GoogleRows:
    """An open file, whose pictures lie below `images` as they lay in their bucket, or all in that one folder."""

    def __init__(self, file: TextIO, images: Path) -> None:
        self._reader = csv.reader(file, strict=True)
        self._images = images
        self._header: tuple[str, ...] = COLUMNS
        self._unused_labels: dict[str, None] = {}
        self._has_sets = False

    @property
    def unused_columns(self) -> tuple[str, ...]:
        return tuple(name for name in self._header if name not in COLUMNS)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of all rows, once they were read."""
        sets = ("product-set-id is ignored: all products are in one catalogue",) if self._has_sets else ()
        labels = (f"labels not used: {','.join(self._unused_labels)}",) if self._unused_labels else ()
        return sets + labels

    def rows(self) -> Iterator[Row | Rejection]:
        for number, (line, fields) in enumerate(records(self._reader)):
            if isinstance(fields, str):
                yield rejected(line, fields)
            elif number == 0 and is_header(fields):
                self._header = tuple(map(_column, fields))
            elif not min(_LEAST_COLUMNS, len(self._header)) <= len(fields) <= len(self._header):
                yield rejected(line, f"{len(fields)} fields where there are {len(self._header)}: {','.join(COLUMNS)}")
            else:
                yield self._row(line, dict(zip(self._header, (field.strip() for field in fields), strict=False)))

    def _row(self, line: int, given: dict[str, str]) -> Row | Rejection:
        cells = {
            "id": given.get("product-id", ""),
            "title": given.get("product-display-name", ""),
            "category": given.get("product-category", ""),
            "image": self._image(given.get("image-uri", "")),
        }
        self._has_sets |= bool(given.get("product-set-id"))
        poly, labels = given.get("bounding-poly", ""), given.get("labels", "")
        if flaw := cell_flaw(line, {**cells, "labels": labels, "bounding-poly": poly}):
            return flaw
        try:
            cells.update(self._fields(labels))
            if poly and cells["image"]:
                cells["region"] = self._region(poly, cells["image"])
        except ValueError as error:
            return rejected(line, str(error), cells["id"])
        return row_of(line, cells)

    def _image(self, uri: str) -> str:
        """Where the picture is below the folder of images: as in its bucket or, where it is not there, by its name."""
        name = _BUCKET.sub("", uri, count=1)
        last = PurePosixPath(name).name
        return last if not self._has(name) and self._has(last) else name

    def _has(self, name: str) -> bool:
        return bool(name) and "\0" not in name and _is_inside(name) and (self._images / name).is_file()

    def _fields(self, labels: str) -> dict[str, str]:
        """Raises ValueError."""
        fields: dict[str, str] = {}
        for label in filter(None, (part.strip() for part in labels.split(","))):
            key, equals, value = (part.strip() for part in label.partition("="))
            if not equals:
                raise ValueError(f"label {label!r} is not key=value")
            if key not in _FIELD_LABELS:
                self._unused_labels[key] = None
            elif fields.setdefault(key, value) != value:
                raise ValueError(f"label {key} is both {fields[key]!r} and {value!r}")
        return fields

    def _region(self, poly: str, image: str) -> str:
        """The box around a polygon: four numbers. Raises ValueError."""
        try:
            numbers = [float(number) for number in poly.split(",")]
        except ValueError:
            raise ValueError(f"bounding-poly {poly!r} is not a list of numbers x,y,x,y") from None
        if len(numbers) < 4 or len(numbers) % 2:
            raise ValueError(f"bounding-poly {poly!r} is not a list of two or more points x,y,x,y")
        xs, ys = numbers[::2], numbers[1::2]
        if max(numbers) > 1 and self._has(image):
            # Whole numbers count pixels; a picture that is not there is said to be missing, and no more.
            width, height = _size(self._images / image)
            if max(xs) > width or max(ys) > height:
                raise ValueError(f"bounding-poly {poly!r} reaches out of the picture of {width}x{height} pixels")
            xs, ys = [x / width for x in xs], [y / height for y in ys]
        elif max(numbers) > 1:
            return ""
        return ",".join(map(repr, (min(xs), min(ys), max(xs), max(ys))))


def _column(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as displayed. Raises ValueError."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"the picture's size, which bounding-poly needs, cannot be read: {error}") from error
    return (height, width) if turned else (width, height)
