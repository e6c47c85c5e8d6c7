"""Evaluation pictures: a folder's pictures and what comes of them on the way to a feed, in the pixels of serving."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from PIL import Image
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from framelens_engines.errors import EngineError
from framelens_engines.evaluation.alterations import ALTERATIONS, altered
from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import Limits, decode
from framelens_triton.images.errors import PictureError

DEFAULT_PICTURES = Path("var/samples")
LABELS_JSON = "labels.json"
WHOLE = Box(0.0, 0.0, 1.0, 1.0)
# Of a larger folder these many are taken, evenly spread over its names: each costs some seconds of one core.
MAX_PICTURES = 100
# Fewer say nothing about an engine.
_MIN_PICTURES = 4
# No picture within the limits is so large that it would be reduced before it is altered.
_FULL_SIZE = 10_000

T = TypeVar("T")


class LabelledBox(BaseModel):
    """An object that a person found; the box is x_min, y_min, x_max, y_max in 0..1 of the picture as displayed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    box: tuple[float, float, float, float]


Labels = dict[str, tuple[LabelledBox, ...]]


@dataclass(frozen=True)
class Frame:
    """An encoded picture; its name is that of the file, and behind a slash how it was altered."""

    name: str
    data: bytes


@dataclass(frozen=True)
class EvaluationPictures:
    """The originals in order of name; `labels` is None where nobody labelled them; `skipped` says why, by name."""

    folder: Path
    originals: tuple[Frame, ...]
    labels: Labels | None
    skipped: dict[str, str]

    @property
    def sha256(self) -> str:
        """Of all originals: equal sets of pictures have equal ones."""
        digest = hashlib.sha256()
        for frame in self.originals:
            digest.update(hashlib.sha256(frame.data).digest())
        return digest.hexdigest()

    def frames(self) -> Iterator[Frame]:
        """Each original, and behind it its altered copies."""
        for original in self.originals:
            yield original
            pixels = full_size(original)
            for name in ALTERATIONS:
                yield Frame(f"{original.name}/{name}", altered(pixels, name))


def full_size(frame: Frame) -> Image.Image:
    """All its pixels, as displayed."""
    return decode(frame.data, Limits(), [WHOLE], _FULL_SIZE).pixels


def read_pictures(folder: Path) -> EvaluationPictures:
    """Raises EngineError where the folder holds too few pictures, or labels that cannot be read."""
    if not folder.is_dir():
        raise EngineError(
            f"there is no folder {folder} of evaluation pictures; `framelens-engines samples` fetches some"
        )
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    originals, skipped = [], {}
    for path in _spread([path for path in files if path.name != LABELS_JSON], MAX_PICTURES):
        frame = Frame(path.name, path.read_bytes())
        try:
            full_size(frame)
        except PictureError as error:
            skipped[path.name] = str(error)
        else:
            originals.append(frame)
    if len(originals) < _MIN_PICTURES:
        raise EngineError(
            f"{folder} holds {len(originals)} pictures that can be read; at least {_MIN_PICTURES} are needed to tell"
            " engines apart"
        )
    return EvaluationPictures(folder, tuple(originals), _read_labels(folder / LABELS_JSON), skipped)


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _spread(items: list[T], count: int) -> list[T]:
    return items if len(items) <= count else [items[len(items) * index // count] for index in range(count)]


def _read_labels(path: Path) -> Labels | None:
    if not path.is_file():
        return None
    try:
        return RootModel[Labels].model_validate(json.loads(path.read_text(encoding="utf-8"))).root
    except (ValueError, ValidationError) as error:
        raise EngineError(
            f'{path} cannot be read: {error}; it is {{"PICTURE": [{{"label": "cup", "box": [x_min, y_min, x_max,'
            " y_max]}]}, boxes in 0..1"
        ) from error
