"""Each image operation and engine by itself on the GPU, at batches of any size, beside its floor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framelens_perf.gpu_check.engines import MAX_BATCH, EngineFile, GpuEngine
from framelens_perf.gpu_check.events import EventTimer, Timed
from framelens_perf.gpu_check.floors import (
    NETWORKS,
    Peaks,
    Work,
    decode_work,
    engine_work,
    floor,
    resize_work,
    together,
)
from framelens_triton.cuda.arrays import DeviceArray, DeviceImage
from framelens_triton.cuda.gpu import Gpu
from framelens_triton.gpu_operations import GpuOperations
from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import Limits
from framelens_triton.images.errors import PictureError
from framelens_triton.images.gpu_decode import Wanted
from framelens_triton.models import EngineInput

DECODE, RESIZE, DETECT, CROP, EMBED = "decode", "resize", "detect", "crop", "embed"


@dataclass(frozen=True)
class Measured:
    """One stage on a batch of so many rows: pictures, or crops."""

    stage: str
    rows: int
    device_ms: float
    wall_ms: float
    floor_ms: float
    floor_by: str

    @property
    def rows_per_s(self) -> float:
        """One batch after the other, each waited for."""
        return self.rows / self.wall_ms * 1e3

    @property
    def share_of_floor(self) -> float:
        """1 is all that the GPU can do."""
        return self.floor_ms / self.device_ms

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "batch": self.rows,
            "device_ms": self.device_ms,
            "wall_ms": self.wall_ms,
            "per_second": self.rows_per_s,
            "floor_ms": self.floor_ms,
            "floor_by": self.floor_by,
            "share_of_floor": self.share_of_floor,
        }


@dataclass(frozen=True)
class Frame:
    """An encoded frame, and its pixels in the GPU's memory."""

    data: bytes
    pixels: DeviceImage


class OperationStages:
    """Image operations of one GPU; `frames` lie in memory that its `forget` leaves alone. Raises CudaError."""

    def __init__(self, operations: GpuOperations, frames: Sequence[Frame], timer: EventTimer, peaks: Peaks) -> None:
        self._operations, self._frames, self._timer, self._peaks = operations, frames, timer, peaks

    def decode(self, count: int) -> Measured:
        """Raises PictureError where the decoder does not take a frame."""
        frames = self._first(count)
        wanted = [Wanted(frame.data, Limits()) for frame in frames]

        def work() -> None:
            for found in self._operations.decoder.decode(wanted):
                if isinstance(found, PictureError):
                    raise found

        least = [decode_work(len(frame.data), frame.pixels.size) for frame in frames]
        return self._measured(DECODE, count, work, together(least))

    def resize(self, count: int, spec: EngineInput) -> Measured:
        pixels = [frame.pixels for frame in self._first(count)]
        target = spec.width, spec.height
        least = [resize_work(picture.size, target) for picture in pixels]
        resizer = self._operations.resizer
        return self._measured(
            RESIZE,
            count,
            lambda: _done(resizer.frames_to_input(pixels, spec.height, spec.width, spec.fit)),
            together(least),
        )

    def crop(self, boxes: Sequence[tuple[int, Box]], spec: EngineInput) -> Measured:
        """Of frames by their number, for the embedder."""
        parts = [(self._frames[at % len(self._frames)].pixels, box) for at, box in boxes]
        target = spec.width, spec.height
        least = [
            resize_work(((box.x_max - box.x_min) * picture.width, (box.y_max - box.y_min) * picture.height), target)
            for picture, box in parts
        ]
        resizer = self._operations.resizer
        return self._measured(
            CROP,
            len(parts),
            lambda: _done(resizer.crops_to_input(parts, spec.height, spec.width, spec.fit)),
            together(least),
        )

    def _first(self, count: int) -> list[Frame]:
        return [self._frames[at % len(self._frames)] for at in range(count)]

    def _measured(self, stage: str, rows: int, work: Any, least: Work) -> Measured:  # noqa: ANN401
        gpu = self._operations.gpu
        return _beside_floor(stage, rows, self._timer.time(gpu.stream, work, gpu.forget), least, self._peaks)


@dataclass(frozen=True)
class EngineStage:
    """One engine on what it takes; the same grey pictures every time, for its time does not depend on them."""

    stage: str
    model: str
    engine: GpuEngine
    file: EngineFile
    spec: EngineInput
    gpu: Gpu
    timer: EventTimer
    peaks: Peaks

    def run(self, rows: int) -> Measured:
        """As many calls as `rows` take, of the same pictures. Raises CudaError, PlanError."""
        calls = [min(MAX_BATCH, rows - at) for at in range(0, rows, MAX_BATCH)]
        self.engine.put(self._images(calls[0]))

        def work() -> None:
            for call in calls:
                self.engine.run(call)

        timed = self.timer.time(self.engine.stream.handle, work, self.engine.stream.synchronize)
        network, arithmetic = NETWORKS[self.model], self.file.arithmetic
        least = together([engine_work(network, call, arithmetic) for call in calls])
        return _beside_floor(self.stage, rows, timed, least, self.peaks)

    def _images(self, rows: int) -> DeviceArray:
        shape = (rows, self.spec.height, self.spec.width, 3)
        grey = np.full(shape, 114, np.uint8)
        images = DeviceArray(self.gpu.upload(grey), shape, grey.dtype, self.gpu)
        self.gpu.synchronize()
        return images


def _beside_floor(stage: str, rows: int, timed: Timed, least: Work, peaks: Peaks) -> Measured:
    lowest = floor(least, peaks)
    return Measured(stage, rows, timed.device_ms, timed.wall_ms, lowest.ms, lowest.by)


def _done(_result: object) -> None:
    """What was asked for is what is measured, and nobody needs it."""
