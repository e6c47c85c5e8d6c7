"""Decodes a batch of pictures into a GPU's memory: JPEGs by nvImageCodec there, everything else as `decode.py` does.

Limits, orientation, reduction and errors are those of `decode.py`, by its own functions. What nvImageCodec does not
take, or says it cannot decode, is decoded on the CPU, which also says what is wrong with it.
"""

import importlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image

from framelens_triton.cuda.arrays import DeviceImage, taken_image
from framelens_triton.cuda.errors import CudaUnavailable
from framelens_triton.cuda.gpu import Gpu
from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import (
    KEPT_PIXELS,
    QUARTER_TURNS,
    REGION_SIDE,
    Limits,
    View,
    check_work,
    decoded,
    extent_of,
    opened,
    orientation_of,
    reduction_for,
)
from framelens_triton.images.errors import PictureError
from framelens_triton.images.gpu_resize import GpuResizer, Turn
from framelens_triton.images.jpeg_scans import is_complete

# Of a JPEG that is decoded at its full size on the GPU; a larger one is decoded at a fraction of it on the CPU.
_MOST_PIXELS = 16_000_000
# Adobe's marker says that the three channels are not YCbCr (T.872, 6.5.3), which decoders read differently.
_ADOBE_RGB = 0

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class GpuPicture(View):
    """A picture whose pixels are in a GPU's memory."""

    pixels: DeviceImage = field(kw_only=True)


@dataclass(frozen=True)
class Wanted:
    """An encoded picture, and which regions of it are looked at, at what size; all of it without regions."""

    data: bytes
    limits: Limits
    regions: tuple[Box, ...] | None = None
    region_side: int = REGION_SIDE


@dataclass(frozen=True)
class _Jpeg:
    """What is known of a JPEG before its pixels are decoded."""

    stored: tuple[int, int]
    orientation: int
    reduction: int

    @property
    def displayed(self) -> tuple[int, int]:
        return self.stored[::-1] if self.orientation in QUARTER_TURNS else self.stored


class JpegDecoder(Protocol):
    """Decodes JPEGs as they are stored into a GPU's memory; None for each that it cannot decode."""

    def decode(self, pictures: Sequence[bytes]) -> list[DeviceImage | None]: ...


class GpuDecoder:
    """Decodes batches of pictures; what it returns is there until the GPU forgets."""

    def __init__(self, jpegs: JpegDecoder, resizer: GpuResizer, threads: int | None = None) -> None:
        self._jpegs = jpegs
        self._resizer = resizer
        self._pool = ThreadPoolExecutor(threads or os.cpu_count(), thread_name_prefix="picture")

    def decode(self, wanted: Sequence[Wanted]) -> list[GpuPicture | PictureError]:
        """One result for each, in their order; work on the GPU is asked for and not waited for. Raises CudaError."""
        results: dict[int, GpuPicture | PictureError] = {}
        headers: dict[int, _Jpeg] = {}
        for index, header in enumerate(self._each(_header, wanted)):
            if isinstance(header, PictureError):
                results[index] = header
            elif header is not None:
                headers[index] = header
        results |= self._on_gpu(wanted, headers)
        left = [index for index in range(len(wanted)) if index not in results]
        on_cpu = self._each(_decoded_on_cpu, [wanted[index] for index in left])
        for index, found in zip(left, on_cpu, strict=True):
            results[index] = found if isinstance(found, PictureError) else self._uploaded(*found)
        return [results[index] for index in range(len(wanted))]

    def close(self) -> None:
        self._pool.shutdown()

    def _on_gpu(self, wanted: Sequence[Wanted], headers: dict[int, _Jpeg]) -> dict[int, GpuPicture]:
        images = self._jpegs.decode([wanted[index].data for index in headers])
        turns = {
            index: Turn(image, header.reduction, header.orientation)
            for (index, header), image in zip(headers.items(), images, strict=True)
            if image is not None and image.size == header.stored
        }
        upright = self._resizer.upright(list(turns.values()))
        return {index: _picture(headers[index], pixels) for index, pixels in zip(turns, upright, strict=True)}

    def _uploaded(self, view: View, pixels: Image.Image) -> GpuPicture:
        image = self._resizer.image(np.asarray(pixels))
        return GpuPicture(view.width, view.height, view.reduction, view.extent, pixels=image)

    def _each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterable[Result]:
        """Like that of the CPU's operations: a batch uses all cores, one picture stays on this thread."""
        return [work(item) for item in items] if len(items) < 2 else self._pool.map(work, items)


class NvImageCodec:
    """nvImageCodec's JPEG decoder on one GPU. Raises CudaUnavailable where it is not installed or has no nvJPEG."""

    def __init__(self, gpu: Gpu) -> None:
        if find_spec("nvidia") is None or find_spec("nvidia.nvimgcodec") is None:
            raise CudaUnavailable("nvImageCodec is not installed; run `pip install 'framelens-triton[gpu]'`")
        self._codec = importlib.import_module("nvidia.nvimgcodec")
        self._gpu = gpu
        try:
            # As libjpeg does: without it chroma is doubled, not interpolated, and colours differ at edges.
            self._decoder = self._codec.Decoder(device_id=gpu.ordinal, options=":fancy_upsampling=1")
        except RuntimeError as error:
            raise CudaUnavailable(f"nvImageCodec has no decoder on GPU {gpu.ordinal}: {error}") from error
        self._parameters = self._codec.DecodeParams(
            apply_exif_orientation=False,
            color_spec=self._codec.ColorSpec.SRGB,
            sample_format=self._codec.SampleFormat.I_RGB,
        )

    def decode(self, pictures: Sequence[bytes]) -> list[DeviceImage | None]:
        streams = {index: stream for index, data in enumerate(pictures) if (stream := self._stream(data)) is not None}
        if not streams:
            return [None] * len(pictures)
        stream = self._gpu.stream
        images = self._decoder.decode(list(streams.values()), params=self._parameters, cuda_stream=stream)
        found = {
            index: taken_image(image, self._gpu.follow, stream)
            for index, image in zip(streams, images, strict=True)
            if image is not None
        }
        return [found.get(index) for index in range(len(pictures))]

    def _stream(self, data: bytes) -> Any:  # noqa: ANN401
        """None where its parser does not take what Pillow's took."""
        try:
            return self._codec.CodeStream(data)
        except RuntimeError:
            return None


def _header(wanted: Wanted) -> _Jpeg | PictureError | None:
    """None for what is decoded on the CPU."""
    try:
        image = opened(wanted.data, wanted.limits)
        if image.format not in ("JPEG", "MPO") or not _is_plain(image) or not is_complete(wanted.data):
            return None
        check_work(image, wanted.data, wanted.limits)
    except PictureError as error:
        return error
    orientation = orientation_of(image)
    size = image.size[::-1] if orientation in QUARTER_TURNS else image.size
    reduction = reduction_for(*size, wanted.regions, wanted.region_side)
    # A larger one would be reduced once more, to be kept while engines run.
    small = image.width * image.height <= min(_MOST_PIXELS, KEPT_PIXELS * reduction**2)
    return _Jpeg(image.size, orientation, reduction) if small else None


def _is_plain(image: Image.Image) -> bool:
    """Grey, or YCbCr by every decoder's reading."""
    return image.mode == "L" or (image.mode == "RGB" and image.info.get("adobe_transform") != _ADOBE_RGB)


def _decoded_on_cpu(wanted: Wanted) -> tuple[View, Image.Image] | PictureError:
    try:
        with decoded(wanted.data, wanted.limits, wanted.regions, wanted.region_side) as picture:
            kept = picture.kept_small()
            return kept, kept.pixels
    except PictureError as error:
        return error


def _picture(header: _Jpeg, pixels: DeviceImage) -> GpuPicture:
    turned = header.orientation in QUARTER_TURNS
    reduced = (pixels.height, pixels.width) if turned else pixels.size
    # As it was before it was turned upright.
    extent = extent_of(header.stored, header.reduction, reduced, header.orientation)
    return GpuPicture(*header.displayed, header.reduction, extent, pixels=pixels)
