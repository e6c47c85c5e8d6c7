"""Groups the rows of a catalogue, wherever they stand in it, into one entry for each product."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePath

from framelens_client.catalogue.formats import Format, opened
from framelens_client.catalogue.rows import Rejection, Row
from framelens_client.reasons import Reason
from framelens_client.results import Box, Product

MAX_PICTURES = 16
# Far above what a gateway accepts; it keeps a wrong path from filling the memory.
_MAX_IMAGE_BYTES = 64 * 2**20
# What a product says where nothing is said.
_BLANK = {part.name: part.default for part in fields(Product)}


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of a product, as it was on disk when the catalogue was read."""

    name: str
    path: Path
    region: Box | None
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A product as the catalogue has it. `rows` are the lines behind it, one for each of `images`, or a repetition."""

    product: Product
    images: tuple[Image, ...]
    rows: tuple[int, ...]

    @property
    def size(self) -> int:
        return sum(image.size for image in self.images)

    def fields_fingerprint(self) -> str:
        """Changes when what the product says changes."""
        return _fingerprint(asdict(self.product))

    def pictures_fingerprint(self) -> str:
        """Changes when a region, the list of pictures, or the size or time of a picture's file changes."""
        images = [(image.name, image.region and asdict(image.region)) for image in self.images]
        return _fingerprint([images, [(image.size, image.modified_ns) for image in self.images]])

    def rejections(self, reason: str, message: str) -> list[Rejection]:
        return [Rejection(line, self.product.id, reason, message) for line in self.rows]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every row read is in exactly one entry or one rejection."""

    entries: tuple[Entry, ...]
    rejections: tuple[Rejection, ...]
    unused_columns: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def row_count(self) -> int:
        return len(self.rejections) + sum(len(entry.rows) for entry in self.entries)


def read_catalogue(path: Path, images: Path, form: Format | None = None) -> Catalogue:
    """`images` is the folder that the image column is relative to; `form` None tells the format by the file.

    Raises CatalogueError.
    """
    with opened(path, images, form) as catalogue:
        entries, rejections = _group(catalogue.rows(), images)
        return Catalogue(entries, rejections, catalogue.unused_columns, catalogue.notes)


@dataclass(slots=True)
class _Draft:
    product: Product
    images: list[Image] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def add(self, row: Row, image: Image) -> str:
        """What speaks against it, or nothing."""
        if conflict := _conflict(self.product, row.product):
            return f"{conflict} of line {self.rows[0]}"
        if image not in self.images and len(self.images) == MAX_PICTURES:
            return f"more than {MAX_PICTURES} pictures of one product"
        self.product = _merged(self.product, row.product)
        self.rows.append(row.line)
        if image not in self.images:
            self.images.append(image)
        return ""


def _group(rows: Iterable[Row | Rejection], folder: Path) -> tuple[tuple[Entry, ...], tuple[Rejection, ...]]:
    drafts: dict[str, _Draft] = {}
    rejections: list[Rejection] = []
    for row in rows:
        if isinstance(row, Rejection):
            rejections.append(row)
            continue
        image = _image(row, folder)
        if isinstance(image, str):
            rejections.append(Rejection(row.line, row.product.id, Reason.INVALID_PICTURE, image))
        elif flaw := drafts.setdefault(row.product.id, _Draft(row.product)).add(row, image):
            rejections.append(Rejection(row.line, row.product.id, Reason.INVALID_PRODUCT, flaw))
    entries = (Entry(draft.product, tuple(draft.images), tuple(draft.rows)) for draft in drafts.values())
    return tuple(entries), tuple(rejections)


def _image(row: Row, folder: Path) -> Image | str:
    """The image of a row, or what is wrong with it."""
    name = PurePath(row.image)
    if name.is_absolute() or ".." in name.parts:
        return f"image leads out of the folder of images: {row.image}"
    path = folder / name
    try:
        status = path.stat()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        return f"image not found: {row.image}" if missing else f"image cannot be read: {row.image}: {error.strerror}"
    if not path.is_file():
        return f"image is not a file: {row.image}"
    if status.st_size > _MAX_IMAGE_BYTES:
        return f"image is larger than {_MAX_IMAGE_BYTES >> 20} MiB: {row.image}"
    return Image(row.image, path, row.region, status.st_size, status.st_mtime_ns)


def _conflict(product: Product, other: Product) -> str:
    for name in (part.name for part in fields(Product)):
        old, new = getattr(product, name), getattr(other, name)
        if not _blank(name, old) and not _blank(name, new) and old != new:
            return f"{name} {new!r} differs from {old!r}"
    return ""


def _merged(product: Product, other: Product) -> Product:
    """Cells that a product's first row leaves blank are taken from its others."""
    blank = [part.name for part in fields(Product) if _blank(part.name, getattr(product, part.name))]
    return replace(product, **{name: getattr(other, name) for name in blank})


def _blank(name: str, value: str | float | None) -> bool:
    return bool(value == _BLANK.get(name))


def _fingerprint(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
