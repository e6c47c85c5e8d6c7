"""The operations of `resize.py` on a GPU: parts of many pictures in one launch, straight into an engine's input.

The kernels (`gpu_resize.cu`) compute what Pillow computes, so results are the same bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from framelens_triton.cuda import dlpack
from framelens_triton.cuda.arrays import DeviceArray, DeviceImage
from framelens_triton.cuda.gpu import Gpu
from framelens_triton.images.boxes import Box
from framelens_triton.images.resize import Fit, Letterbox, Placement, cut_size, in_pixels

SOURCE = Path(__file__).with_suffix(".cu")
Part = tuple[float, float, float, float]
# Threads of a block along x and y: a warp writes a row of 32 pixels.
_BLOCK = (32, 8, 1)
_WEIGHTS_BLOCK = (128, 1, 1)
# CUDA's limit on blocks along y and z.
_MOST_JOBS = 65535
# As the kernels have them.
_AXIS = np.dtype(
    [
        ("weights", "u8"),
        ("bounds", "u8"),
        ("start", "f4"),
        ("end", "f4"),
        *((name, "i4") for name in ("size", "count", "taps", "unused")),
    ]
)
_RESIZE = np.dtype(
    [
        *((name, "u8") for name in ("source", "target", "source_stride", "target_stride", "columns", "rows")),
        *((name, "i4") for name in ("left", "top", "width", "height", "rows_first", "unused")),
    ]
)
_REDUCTION = np.dtype(
    [
        *((name, "u8") for name in ("source", "target", "source_stride", "target_stride")),
        *((name, "i4") for name in ("source_width", "source_height", "factor")),
        *((name, "i4") for name in ("swap", "flip_columns", "flip_rows", "width", "height")),
    ]
)
# What turns a reduced picture of each EXIF orientation upright: swap columns and rows, flip columns, flip rows.
_TURNS = {
    1: (0, 0, 0),
    2: (0, 1, 0),
    3: (0, 1, 1),
    4: (0, 0, 1),
    5: (1, 0, 0),
    6: (1, 0, 1),
    7: (1, 1, 1),
    8: (1, 1, 0),
}


@cache
def source() -> str:
    return SOURCE.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Job:
    """A part of a picture, in its pixels, to `inner` pixels at `left`, `top` of a target with grey around."""

    picture: DeviceImage
    part: Part
    inner: tuple[int, int]
    target: DeviceImage
    left: int = 0
    top: int = 0


@dataclass(frozen=True)
class Turn:
    """A picture to be reduced by a factor and, by its EXIF orientation, turned upright."""

    picture: DeviceImage
    factor: int
    orientation: int


class GpuResizer:
    """Resizes on one GPU; what it returns is there until the GPU forgets. Raises CudaError.

    Work is asked for and not waited for: `Gpu.synchronize` says when it is done.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def frames_to_input(
        self, frames: Sequence[DeviceImage], height: int, width: int, fit: Fit
    ) -> tuple[DeviceArray, list[Placement]]:
        """Whole frames as uint8 [n, height, width, 3], and where each lies in there."""
        batch = self._batch(len(frames), height, width)
        targets = _images(batch)
        if fit is Fit.STRETCH:
            self._run([Job(f, _whole(f), (width, height), to) for f, to in zip(frames, targets, strict=True)])
            return batch, [Placement()] * len(frames)
        boxes = [Letterbox.of(frame.size, height, width) for frame in frames]
        jobs = zip(frames, boxes, targets, strict=True)
        self._run([Job(frame, _whole(frame), b.inner, to, b.left, b.top) for frame, b, to in jobs])
        return batch, [box.placement for box in boxes]

    def crops_to_input(
        self, crops: Sequence[tuple[DeviceImage, Box]], height: int, width: int, fit: Fit
    ) -> DeviceArray:
        """Exactly the boxes of pictures, to a fraction of a pixel, as uint8 [n, height, width, 3]."""
        if fit is not Fit.STRETCH:
            return self.frames_to_input(self.cuts(crops), height, width, fit)[0]
        batch = self._batch(len(crops), height, width)
        parts = zip(crops, _images(batch), strict=True)
        self._run([Job(picture, in_pixels(picture.size, box), (width, height), to) for (picture, box), to in parts])
        return batch

    def cuts(
        self, crops: Sequence[tuple[DeviceImage, Box]], max_side: int | None = None, min_side: int = 1
    ) -> list[DeviceImage]:
        """Boxes of pictures as pictures of their own, as `resize.cut` makes them."""
        parts = [in_pixels(picture.size, box) for picture, box in crops]
        targets = [self._image(*cut_size(part, max_side, min_side)) for part in parts]
        jobs = zip(crops, parts, targets, strict=True)
        self._run([Job(picture, part, target.size, target) for (picture, _), part, target in jobs])
        return targets

    def upright(self, turns: Sequence[Turn]) -> list[DeviceImage]:
        """Pictures reduced and turned; one that needs neither is returned as it is."""
        wanted = [turn for turn in turns if turn.factor > 1 or (turn.orientation in _TURNS and turn.orientation != 1)]
        targets = {id(turn): self._image(*_upright_size(turn)) for turn in wanted}
        for start in range(0, len(wanted), _MOST_JOBS):
            self._reduce([(turn, targets[id(turn)]) for turn in wanted[start : start + _MOST_JOBS]])
        return [targets.get(id(turn), turn.picture) for turn in turns]

    def pixels(self, image: DeviceImage) -> npt.NDArray[np.uint8]:
        """A copy on the host, uint8 [height, width, 3], when all before it is done."""
        rows = self._gpu.download(image.address, (image.height, image.stride))
        return np.ascontiguousarray(rows[:, : image.width * 3].reshape(image.height, image.width, 3))

    def image(self, pixels: npt.NDArray[np.uint8]) -> DeviceImage:
        """A copy on the GPU of uint8 [height, width, 3]."""
        height, width, _ = pixels.shape
        return DeviceImage(self._gpu.upload(pixels), width, height, width * 3)

    def _batch(self, count: int, height: int, width: int) -> DeviceArray:
        shape = (count, height, width, 3)
        device = dlpack.CUDA, self._gpu.ordinal
        return DeviceArray(self._gpu.room(math.prod(shape)), shape, np.dtype(np.uint8), self._gpu, device)

    def _image(self, width: int, height: int) -> DeviceImage:
        return DeviceImage(self._gpu.room(width * height * 3), width, height, width * 3)

    def _run(self, jobs: Sequence[Job]) -> None:
        """One launch for all weights and one for all pixels; more only beyond what CUDA takes at once."""
        step = _MOST_JOBS // 2
        for start in range(0, len(jobs), step):
            self._launch(jobs[start : start + step])

    def _launch(self, jobs: Sequence[Job]) -> None:
        axes = np.zeros(2 * len(jobs), _AXIS)
        for index, job in enumerate(jobs):
            axes[2 * index], axes[2 * index + 1] = self._axes(job)
        first_axis = self._gpu.upload(axes)
        most = int(axes["count"].max())
        self._gpu.launch(
            "filter_weights", (_blocks(most, _WEIGHTS_BLOCK[0]), len(axes), 1), _WEIGHTS_BLOCK, [first_axis]
        )
        records = np.zeros(len(jobs), _RESIZE)
        for index, job in enumerate(jobs):
            records[index] = _resize_record(job, first_axis + 2 * index * _AXIS.itemsize)
        self._gpu.launch("resize", _grid(records), _BLOCK, [self._gpu.upload(records)])

    def _axes(self, job: Job) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        left, top, right, bottom = _cover(job.part)
        x_min, y_min, x_max, y_max = job.part
        across = self._axis(x_min - left, x_max - left, right - left, job.inner[0])
        return across, self._axis(y_min - top, y_max - top, bottom - top, job.inner[1])

    def _axis(self, start: float, end: float, size: int, count: int) -> tuple[Any, ...]:
        # Pillow takes the ends as 32-bit floats.
        scale = float(np.float32(end) - np.float32(start)) / count
        taps = math.ceil(max(scale, 1.0)) * 2 + 1
        return self._gpu.room(count * taps * 4), self._gpu.room(count * 8), start, end, size, count, taps, 0

    def _reduce(self, turns: Sequence[tuple[Turn, DeviceImage]]) -> None:
        records = np.zeros(len(turns), _REDUCTION)
        for index, (turn, target) in enumerate(turns):
            picture = turn.picture
            turned = _TURNS.get(turn.orientation, _TURNS[1])
            records[index] = (
                *(picture.address, target.address, picture.stride, target.stride),
                *(picture.width, picture.height, turn.factor, *turned, target.width, target.height),
            )
        self._gpu.launch("reduce_upright", _grid(records), _BLOCK, [self._gpu.upload(records)])


def _resize_record(job: Job, axes: int) -> tuple[Any, ...]:
    left, top, right, bottom = _cover(job.part)
    picture, target = job.picture, job.target
    return (
        picture.address + top * picture.stride + left * 3,
        *(target.address, picture.stride, target.stride, axes, axes + _AXIS.itemsize),
        *(job.left, job.top, target.width, target.height, _rows_first((right - left, bottom - top), job.inner), 0),
    )


def _rows_first(size: tuple[int, int], inner: tuple[int, int]) -> bool:
    """Pillow resizes vertically first where that takes far more away (Pillow 13, pull request 9549)."""
    fewer_columns, fewer_rows = size[0] - inner[0], size[1] - inner[1]
    return fewer_rows > max(0, 2 * fewer_columns)


def _cover(part: Part) -> tuple[int, int, int, int]:
    """The whole pixels that a part lies in; the filter reaches no further."""
    x_min, y_min, x_max, y_max = part
    return math.floor(x_min), math.floor(y_min), math.ceil(x_max), math.ceil(y_max)


def _whole(picture: DeviceImage) -> Part:
    return 0.0, 0.0, float(picture.width), float(picture.height)


def _images(batch: DeviceArray) -> list[DeviceImage]:
    count, height, width, _ = batch.shape
    return [DeviceImage(batch.address + index * height * width * 3, width, height, width * 3) for index in range(count)]


def _upright_size(turn: Turn) -> tuple[int, int]:
    width, height = (_blocks(side, turn.factor) for side in turn.picture.size)
    return (height, width) if _TURNS.get(turn.orientation, _TURNS[1])[0] else (width, height)


def _grid(records: npt.NDArray[np.void]) -> tuple[int, int, int]:
    width, height = int(records["width"].max()), int(records["height"].max())
    return _blocks(width, _BLOCK[0]), _blocks(height, _BLOCK[1]), len(records)


def _blocks(count: int, size: int) -> int:
    return -(-count // size)
