"""Whether the GPU's image operations give what the CPU's give, on real pictures, within docs/gpu.md's tolerance."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from framelens_triton.cuda.arrays import DeviceImage
from framelens_triton.cuda.gpu import Gpu
from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import Limits, decoded
from framelens_triton.images.errors import PictureError
from framelens_triton.images.gpu_decode import GpuDecoder, JpegDecoder, Wanted
from framelens_triton.images.gpu_resize import GpuResizer, Turn
from framelens_triton.images.resize import Fit, Pixels, crop_to_input, cut, frame_to_input

_SIDE, _CUT_SIDE, _REDUCTION = 300, 256, 4
_BOX = Box(0.103, 0.207, 0.631, 0.777)
_ORIENTATION = 0x0112
# A frame of a video in landscape, which is decoded at half its size.
_LARGE = (1920, 1080)


@dataclass(frozen=True)
class Tolerance:
    """In grey levels of 255: of the mean difference, and of any one value."""

    mean: float
    largest: float


EXACT = Tolerance(0, 0)


@dataclass(frozen=True)
class Difference:
    """The worst of all pictures; without a tolerance it is a figure and no verdict."""

    operation: str
    pictures: int
    mean: float
    largest: int
    tolerance: Tolerance | None

    @property
    def held(self) -> bool | None:
        if self.tolerance is None:
            return None
        return self.mean <= self.tolerance.mean and self.largest <= self.tolerance.largest

    def to_json(self) -> dict[str, Any]:
        bound = self.tolerance and {"mean": self.tolerance.mean, "largest": self.tolerance.largest}
        return {
            "operation": self.operation,
            "pictures": self.pictures,
            "mean": self.mean,
            "largest": self.largest,
            "tolerance": bound,
            "held": self.held,
        }


Pair = tuple[Pixels, Pixels]


def same_pixels_in(gpu: Gpu, pictures: Sequence[Image.Image]) -> list[Difference]:
    """Operations on the very same pixels, which have to be exact. Raises CudaError."""
    resizer = GpuResizer(gpu)
    found: dict[str, list[Pair]] = {}
    for picture in pictures:
        for operation, pair in _operations(resizer, picture):
            found.setdefault(operation, []).append(pair)
        gpu.forget()
    return [_worst(operation, pairs, EXACT) for operation, pairs in found.items()]


def decoded_here(
    gpu: Gpu, jpegs: JpegDecoder, pictures: Sequence[Image.Image], tolerance: Tolerance | None = None
) -> list[Difference]:
    """Decoded on the GPU beside decoded on the CPU, and the inputs made of both; only what `jpegs` decodes itself.

    What nvImageCodec adds has no stated tolerance: it is measured here. Raises CudaError, PictureError.
    """
    resizer = GpuResizer(gpu)
    decoder = GpuDecoder(jpegs, resizer)
    found: dict[str, list[Pair]] = {}
    try:
        for name, data in _encoded(pictures):
            if jpegs.decode([data])[0] is not None:
                on_cpu, on_gpu = _both_decoded(decoder, resizer, data)
                found.setdefault(f"decode, {name}", []).append((on_cpu, on_gpu))
                inputs = (_to_input(on_cpu), _to_input(on_gpu))
                found.setdefault(f"input of what is decoded, {name}", []).append(inputs)
            gpu.forget()
    finally:
        decoder.close()
    return [_worst(operation, pairs, tolerance) for operation, pairs in found.items()]


def sample_pictures(folder: Path) -> list[Image.Image]:
    """As RGB. Raises FileNotFoundError where there is none."""
    files = sorted(file for file in folder.glob("*") if file.suffix in (".png", ".jpg", ".jpeg"))
    if not files:
        raise FileNotFoundError(f"{folder} has no pictures; run `make var/samples/.ready`")
    return [Image.open(file).convert("RGB") for file in files]


def _operations(resizer: GpuResizer, picture: Image.Image) -> Iterator[tuple[str, Pair]]:
    """Each as the CPU has it, then as the GPU has it."""
    image = resizer.image(np.asarray(picture))
    for fit in Fit:
        batch, _ = resizer.frames_to_input([image], _SIDE, _SIDE, fit)
        yield f"resize, {fit}", (frame_to_input(picture, _SIDE, _SIDE, fit)[0], _row(resizer, batch.address))
        crops = resizer.crops_to_input([(image, _BOX)], _SIDE, _SIDE, fit)
        yield f"crop, {fit}", (crop_to_input(picture, _BOX, _SIDE, _SIDE, fit), _row(resizer, crops.address))
    (part,) = resizer.cuts([(image, _BOX)], _CUT_SIDE)
    yield "cut", (np.asarray(cut(picture, _BOX, _CUT_SIDE)), resizer.pixels(part))
    (reduced,) = resizer.upright([Turn(image, _REDUCTION, 1)])
    yield "reduce", (np.asarray(picture.reduce(_REDUCTION)), resizer.pixels(reduced))
    for orientation in range(2, 9):
        (turned,) = resizer.upright([Turn(image, 1, orientation)])
        yield "orientation", (_turned(picture, orientation), resizer.pixels(turned))


def _row(resizer: GpuResizer, address: int) -> Pixels:
    """The only row of a batch."""
    return resizer.pixels(DeviceImage(address, _SIDE, _SIDE, _SIDE * 3))


def _turned(picture: Image.Image, orientation: int) -> Pixels:
    copy = picture.copy()
    copy.getexif()[_ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(copy))


def _encoded(pictures: Sequence[Image.Image]) -> Iterator[tuple[str, bytes]]:
    for picture in pictures:
        yield "full size", _jpeg(picture)
        yield "reduced", _jpeg(picture.resize(_LARGE))


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _both_decoded(decoder: GpuDecoder, resizer: GpuResizer, data: bytes) -> Pair:
    (found,) = decoder.decode([Wanted(data, Limits())])
    if isinstance(found, PictureError):
        raise found
    with decoded(data, Limits()) as picture:
        return np.asarray(picture.kept_small().pixels), resizer.pixels(found.pixels)


def _to_input(pixels: Pixels) -> Pixels:
    return frame_to_input(Image.fromarray(pixels), _SIDE, _SIDE, Fit.STRETCH)[0]


def _worst(operation: str, pairs: Sequence[Pair], tolerance: Tolerance | None) -> Difference:
    differences = [_difference(*pair) for pair in pairs]
    mean, largest = max(d.mean() for d in differences), max(d.max() for d in differences)
    return Difference(operation, len(pairs), float(mean), int(largest), tolerance)


def _difference(on_cpu: Pixels, on_gpu: Pixels) -> Any:  # noqa: ANN401
    """Another size is as wrong as can be."""
    if on_cpu.shape != on_gpu.shape:
        return np.full(1, 255)
    return np.abs(on_cpu.astype(np.int16) - on_gpu)
