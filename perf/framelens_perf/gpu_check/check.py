"""All steps of `gpu-check` on one GPU, in order."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from framelens_perf.gpu_check.end_to_end import Serving, end_to_end
from framelens_perf.gpu_check.engines import EngineFile, GpuEngine, GpuEngines, candidates, chosen, fp32_engine
from framelens_perf.gpu_check.equality import Difference, decoded_here, same_pixels_in, sample_pictures
from framelens_perf.gpu_check.events import EventTimer
from framelens_perf.gpu_check.failures import EngineMissing, GpuCheckFailure
from framelens_perf.gpu_check.floors import Peaks
from framelens_perf.gpu_check.pipeline import INSTANCES, Description, Pipelines, rate_of, recognised, summed
from framelens_perf.gpu_check.report import Report, Whole
from framelens_perf.gpu_check.stages import (
    CROP,
    DECODE,
    DETECT,
    EMBED,
    RESIZE,
    EngineStage,
    Frame,
    Measured,
    OperationStages,
)
from framelens_perf.gpu_check.steps import Steps
from framelens_perf.gpu_check.targets import BATCH, decode_bound, throughput_kept
from framelens_perf.gpu_check.utilisation import Utilisation
from framelens_perf.in_process import DETECTOR, EMBEDDER
from framelens_perf.workload.frames import feed_frames
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.gpu import CudaGpu
from framelens_triton.gpu_operations import GpuOperations, gpu_operations
from framelens_triton.images.boxes import Box
from framelens_triton.images.gpu_decode import NvImageCodec
from framelens_triton.images.gpu_resize import SOURCE, GpuResizer, source
from framelens_triton.models import ModelRepository
from framelens_triton.recognition import Recognizer, Request

BATCHES = (1, BATCH, 32)
_ENGINE_STAGES = {DETECT: DETECTOR, EMBED: EMBEDDER}
# What is cut out where crops are measured by themselves: a thing of the size that feed frames have.
_BOX = Box(0.1, 0.05, 0.9, 0.45)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Settings:
    """What is measured with, and where the report goes; each rate of the whole takes `seconds`."""

    ordinal: int
    pictures: Path
    model_repository: Path
    out: Path
    precision: str
    seconds: float


class Check:
    """Fills a report; what an earlier step did not come to, a later one fails for. Raises OSError for no pictures."""

    def __init__(self, settings: Settings, device: Device, report: Report, steps: Steps) -> None:
        self._settings, self._device, self._report, self._steps = settings, device, report, steps
        self._models = ModelRepository(settings.model_repository)
        self._frames = feed_frames(settings.pictures, max(BATCHES))
        self._timer: EventTimer | None = None
        # Its memory is kept to the end; that of the operations is forgotten after each batch.
        self._kept: CudaGpu | None = None
        self._operations: GpuOperations | None = None
        self._operation_stages: OperationStages | None = None
        self._engine_stages: dict[str, EngineStage] = {}

    def run(self) -> None:
        self._timer = self._steps.run("timing by CUDA events", self._events)
        self._kept = self._steps.run("kernels", self._gpu)
        self._operations = self._steps.run("image operations", partial(gpu_operations, self._settings.ordinal))
        self._same_as_cpu()
        self._operation_stages = self._steps.run("frames in the GPU's memory", self._on_frames)
        for stage, model in _ENGINE_STAGES.items():
            if found := self._steps.run(f"engine of {model}", partial(self._engine_stage, stage, model)):
                self._engine_stages[stage] = found
        self._alone()
        self._together()
        self._steps.run("end to end through Triton", self._end_to_end)

    def _alone(self) -> None:
        """Every stage at every batch size."""
        for stage in (DECODE, RESIZE, CROP, DETECT, EMBED):
            for batch in BATCHES:
                measured = self._steps.run(f"{stage}, batch {batch}", partial(self._stage, stage, batch))
                if measured is not None:
                    self._report.stages.append(measured)

    def _together(self) -> None:
        for batch in BATCHES:
            if whole := self._steps.run(f"recognizer, {batch} frames", partial(self._whole, batch)):
                self._report.wholes.append(whole)
        self._steps.run(f"pipeline, {INSTANCES} instances", self._instances)
        found = self._report.whole(BATCH)
        stages = None if found is None else found.stages
        self._report.targets = [decode_bound(stages), throughput_kept(stages, self._report.pipeline)]

    def _events(self) -> EventTimer:
        timer = EventTimer()
        self._report.copied_bytes_per_s = timer.copied_bytes_per_s
        self._report.peaks = self._report.hardware.peaks(timer.copied_bytes_per_s)
        return timer

    def _gpu(self) -> CudaGpu:
        return CudaGpu(self._device, source(), SOURCE.name)

    def _same_as_cpu(self) -> None:
        pictures = self._steps.run("sample pictures", partial(sample_pictures, self._settings.pictures)) or []
        for name, work in (("operations", self._exact), ("decoding", self._decoding)):
            found = self._steps.run(f"{name} beside the CPU's", partial(work, pictures))
            self._report.differences.extend(found or ())

    def _exact(self, pictures: Sequence[Image.Image]) -> list[Difference]:
        return same_pixels_in(self._gpu(), pictures)

    def _decoding(self, pictures: Sequence[Image.Image]) -> list[Difference]:
        gpu = self._gpu()
        found = decoded_here(gpu, NvImageCodec(gpu), pictures)
        if not found:
            raise GpuCheckFailure("nvImageCodec decoded none of the sample pictures; JPEGs are decoded by the CPU here")
        return found

    def _on_frames(self) -> OperationStages:
        gpu, operations = _needed(self._kept, "kernels"), _needed(self._operations, "image operations")
        resizer = GpuResizer(gpu)
        frames = [Frame(data, resizer.image(_pixels(data))) for data in self._frames]
        gpu.synchronize()
        return OperationStages(operations, frames, *self._clock())

    def _engine_stage(self, stage: str, model: str) -> EngineStage:
        settings = self._settings
        tried = candidates(model, settings.model_repository, settings.out, settings.precision)
        choice = self._report.engines[model] = chosen(tried, self._device)
        if choice.engine is None or choice.file is None:
            raise EngineMissing(f"{model} has no engine that runs on {self._device}: {'; '.join(choice.said)}")
        spec, gpu = self._models.engine_input(model), _needed(self._kept, "kernels")
        return EngineStage(stage, model, choice.engine, choice.file, spec, gpu, *self._clock())

    def _clock(self) -> tuple[EventTimer, Peaks]:
        return _needed(self._timer, "timing by CUDA events"), _needed(self._report.peaks, "timing by CUDA events")

    def _stage(self, stage: str, rows: int, boxes: Sequence[tuple[int, Box]] | None = None) -> Measured:
        """Crops are those `boxes` of frames, by their number."""
        if stage in _ENGINE_STAGES:
            return _needed(self._engine_stages.get(stage), f"engine of {_ENGINE_STAGES[stage]}").run(rows)
        operations = _needed(self._operation_stages, "frames in the GPU's memory")
        if stage == DECODE:
            return operations.decode(rows)
        if stage == RESIZE:
            return operations.resize(rows, self._models.engine_input(DETECTOR))
        return operations.crop(boxes or [(at, _BOX) for at in range(rows)], self._models.engine_input(EMBEDDER))

    def _whole(self, batch: int) -> Whole:
        recognizer = self._recognizer()
        requests = [Request(data, DETECTOR, EMBEDDER) for data in self._frames[:batch]]
        results = recognised(recognizer, requests)
        boxes = [(at, found.box) for at, result in enumerate(results) for found in result.objects]
        if not boxes:
            raise GpuCheckFailure(f"nothing was detected in {batch} feed frames, so nothing is cut out and embedded")
        rows = {DECODE: batch, RESIZE: batch, DETECT: batch, CROP: len(boxes), EMBED: len(boxes)}
        stages = {stage: self._stage(stage, count, boxes) for stage, count in rows.items()}
        rate = summed(batch, [rate_of(recognizer, self._frames, batch, self._settings.seconds)])
        return Whole(batch, len(boxes), stages, rate)

    def _recognizer(self) -> Recognizer:
        operations = _needed(self._operations, "image operations")
        return Recognizer(self._models, GpuEngines(self._opened()), operations=operations)

    def _opened(self) -> dict[str, GpuEngine]:
        return {model: self._of_engine(stage).engine for stage, model in _ENGINE_STAGES.items()}

    def _of_engine(self, stage: str) -> EngineStage:
        return _needed(self._engine_stages.get(stage), f"engine of {_ENGINE_STAGES[stage]}")

    def _instances(self) -> None:
        """The rate is kept where only its utilisation fails."""
        files: dict[str, EngineFile] = {model: self._of_engine(stage).file for stage, model in _ENGINE_STAGES.items()}
        description = Description(self._settings.ordinal, self._settings.model_repository, files)
        with Pipelines(description, INSTANCES) as pipelines:
            pipelines.make_ready(self._frames, BATCH)
            busy = self._steps.run("GPU utilisation", partial(Utilisation, self._report.hardware.pci_address))
            if busy is None:
                self._report.pipeline = pipelines.rate(self._frames, BATCH, self._settings.seconds)
                return
            with busy:
                self._report.pipeline = pipelines.rate(self._frames, BATCH, self._settings.seconds)
        self._report.utilisation_percent = busy.mean_percent()

    def _end_to_end(self) -> None:
        """With the plans that run here; a model without one is served on the CPU, so that the others are measured."""
        settings = self._settings
        serving = Serving(
            settings.model_repository,
            settings.pictures,
            {model: self._servable(stage, model) for stage, model in _ENGINE_STAGES.items()},
            settings.out / "triton",
            settings.ordinal,
            partial(Utilisation, self._report.hardware.pci_address),
        )
        end_to_end(serving, self._report.end_to_end, self._steps)

    def _servable(self, stage: str, model: str) -> EngineFile:
        chosen_stage = self._engine_stages.get(stage)
        if chosen_stage is not None and chosen_stage.file.path.suffix == ".plan":
            return chosen_stage.file
        return fp32_engine(self._settings.model_repository / model)


def _needed(value: Value | None, step: str) -> Value:
    if value is None:
        raise GpuCheckFailure(f"it needs the step `{step}`, which failed")
    return value


def _pixels(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
