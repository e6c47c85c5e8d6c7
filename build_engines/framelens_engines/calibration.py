"""Pictures to calibrate INT8 engines with: public ones, and none of those that engines are evaluated on."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from framelens_engines.errors import ConversionError
from framelens_engines.model_config import DetectorShape, Shape
from framelens_engines.progress import Reporter
from framelens_engines.wheels import CALIBRATION_PICTURES, read_member
from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import Limits, Picture, decode
from framelens_triton.images.errors import PictureError
from framelens_triton.images.resize import crop_to_input

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# Of each picture: enough that some forty come from the public ones.
_VARIANTS = 7
_SIDE_OF_FRAME, _SIDE_OF_OBJECT = (0.5, 1.0), (0.25, 0.8)
_BRIGHTNESS = (0.7, 1.3)


def calibration_inputs(shape: Shape, folder: Path | None, cache: Path, reporter: Reporter) -> NDArray[np.uint8]:
    """Inputs of an engine, uint8 (N, height, width, 3): parts of the folder's pictures, or of the public ones.

    A detector sees frames, an embedder parts as large as objects are; half of them mirrored, most relit. Raises
    EngineError.
    """
    encoded = _encoded(folder) if folder else (read_member(each, cache, reporter) for each in CALIBRATION_PICTURES)
    inputs = [variant for data in encoded for variant in _variants(decode(data, Limits()), shape)]
    return np.stack(inputs)


def digest(inputs: NDArray[np.uint8]) -> str:
    """What engine.json says of the inputs: equal ones give equal engines."""
    return hashlib.sha256(inputs.tobytes()).hexdigest()


def _encoded(folder: Path) -> Iterator[bytes]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ConversionError(
            f"{folder} has no pictures to calibrate with; expected files {', '.join(sorted(_SUFFIXES))}"
        )
    for path in paths:
        data = path.read_bytes()
        try:
            decode(data, Limits())
        except PictureError as error:
            raise ConversionError(f"{path} cannot be used to calibrate with: {error}; remove it") from error
        yield data


def _variants(picture: Picture, shape: Shape) -> Iterator[NDArray[np.uint8]]:
    """Always the same of the same picture."""
    buffer = io.BytesIO()
    picture.pixels.resize((8, 8), Image.Resampling.BILINEAR).save(buffer, "BMP")
    draw = np.random.default_rng(list(hashlib.sha256(buffer.getvalue()).digest()))
    low, high = _SIDE_OF_FRAME if isinstance(shape, DetectorShape) else _SIDE_OF_OBJECT
    for number in range(_VARIANTS):
        side = draw.uniform(low, high)
        left, top = draw.uniform(0, 1 - side, 2)
        part = Box(left, top, left + side, top + side)
        pixels = crop_to_input(picture.pixels, part, shape.height, shape.width, shape.fit)
        relit = (pixels * draw.uniform(*_BRIGHTNESS)).clip(0, 255).astype(np.uint8)
        yield relit[:, ::-1] if number % 2 else relit
