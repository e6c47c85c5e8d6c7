"""The stages of recognition over a batch of pictures: decode, resize, detect, NMS, crop, embed.

Every stage handles all pictures of the batch together, and none is kept at full size while an engine runs. A picture
that cannot be used leaves the batch with its error; the others go on. The engines are reached through one seam,
`Engines`, so the same stages run inside Triton and, for measuring, in one process.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from framelens_triton.images.boxes import Box, checked_region
from framelens_triton.images.decode import REGION_SIDE, Limits, Picture, View, decoded
from framelens_triton.images.encode import CROP_MAX_SIDE, CROP_MIN_SIDE, encode_crop
from framelens_triton.images.errors import PictureError
from framelens_triton.images.nms import nms
from framelens_triton.images.resize import Pixels, Placement, crop_to_input, cut, frame_to_input
from framelens_triton.models import EngineInput, ModelRepository
from framelens_triton.stage_clock import StageClock
from framelens_triton.unnamed import UNNAMED_LABEL, unnamed_candidates

DETECTOR_OUTPUTS = ("boxes", "scores", "labels", "build")
EMBEDDER_OUTPUTS = ("embedding", "build")
STAGES = ("decode", "resize", "detect", "nms", "crop", "embed")
# Boxes of one label that overlap more than this are one object (the TF detection zoo's value for SSD).
NMS_IOU = 0.6
# Two boxes of different labels that overlap more than this show one thing.
SAME_THING_IOU = 0.8

Item = TypeVar("Item")
Result = TypeVar("Result")


class EngineUnavailable(Exception):
    """An engine that a picture needs is not loaded or failed; `model` names it."""

    def __init__(self, model: str, message: str, *, loaded: bool = True) -> None:
        super().__init__(f"engine {model}: {message}")
        self.model = model
        self.loaded = loaded


class CallerGone(Exception):
    """Nobody waits for this picture any more."""


class Engines(Protocol):
    """Runs one engine on uint8 [n, height, width, 3], n <= its max batch size; raises EngineUnavailable.

    `images` are `Pixels`, or a `DeviceArray` where the image operations are a GPU's.
    """

    def infer(self, model: str, images: Any, outputs: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]: ...  # noqa: ANN401


class EngineInputs(Protocol):
    """What one engine is given, for all pictures of a batch."""

    def __len__(self) -> int: ...

    def part(self, start: int, end: int) -> Any:  # noqa: ANN401
        """Those from `start` up to `end`, as `Engines.infer` takes them."""


@dataclass(frozen=True)
class Request:
    """One picture and what is asked of it; with regions nothing is detected, without embedder nothing is embedded."""

    data: bytes
    detector: str
    embedder: str | None
    regions: tuple[Box, ...] | None = None
    min_score: float = 0.5
    max_objects: int = 8
    # Boxes of things without a name that come after the objects, at most.
    unnamed: int = 0
    keep_crops: bool = False
    limits: Limits = field(default_factory=Limits)
    # Whether the caller has gone; asked before each engine.
    is_cancelled: Callable[[], bool] = lambda: False


@dataclass
class FoundObject:
    label: str
    score: float
    box: Box
    embedding: npt.NDArray[np.float32] | None = None
    crop: bytes = b""
    # What the embedder is given.
    pixels: Pixels | None = None


@dataclass
class Recognition:
    """What was found in one picture, or why it was not looked at."""

    request: Request
    picture: View | None = None
    objects: list[FoundObject] = field(default_factory=list)
    # Model name to the version that answered.
    engines: dict[str, str] = field(default_factory=dict)
    error: PictureError | EngineUnavailable | CallerGone | None = None


class Operations(Protocol):
    """Makes engine inputs of pictures: on the CPU by `CpuOperations`, on a GPU by `gpu_operations`.

    A picture that cannot be used gets its error and is left out.
    """

    def frames(
        self, results: Sequence[Recognition], spec: EngineInput, clock: StageClock
    ) -> tuple[list[tuple[Recognition, Placement]], EngineInputs]:
        """Whole pictures for the detector, where each lies in its input, and what is kept of it (`picture`)."""

    def crops(
        self, results: Sequence[Recognition], spec: EngineInput, clock: StageClock
    ) -> tuple[list[tuple[Recognition, FoundObject]], EngineInputs]:
        """Every object, or region, of every picture for the embedder."""

    def finish(self) -> None:
        """The batch is over: nothing of its pictures and inputs is needed any more."""

    def close(self) -> None: ...


class Recognizer:
    """Recognises batches of pictures with the engines of one model repository."""

    def __init__(
        self,
        models: ModelRepository,
        engines: Engines,
        threads: int | None = None,
        operations: Operations | None = None,
    ) -> None:
        self._models = models
        self._engines = engines
        self._operations = operations or CpuOperations(threads)

    def recognize(self, requests: Sequence[Request]) -> tuple[list[Recognition], StageClock]:
        """One result for each request, in their order, and the time that the batch took by stage."""
        results = [Recognition(request) for request in requests]
        clock = StageClock(STAGES)
        try:
            _drop_cancelled(results)
            self._detect(results, clock)
            _drop_cancelled(results)
            self._embed(results, clock)
        finally:
            self._operations.finish()
        return results, clock

    def close(self) -> None:
        self._operations.close()

    def _detect(self, results: list[Recognition], clock: StageClock) -> None:
        waiting = [r for r in results if r.error is None and r.request.regions is None]
        for detector in dict.fromkeys(r.request.detector for r in waiting):
            self._detect_with(detector, [r for r in waiting if r.request.detector == detector], clock)

    def _detect_with(self, detector: str, results: list[Recognition], clock: StageClock) -> None:
        try:
            spec, labels = self._models.engine_input(detector), self._models.labels(detector)
            looked_at, inputs = self._operations.frames(results, spec, clock)
            if not looked_at:
                return
            with clock.stage("detect"):
                outputs = self._infer(detector, spec, inputs, DETECTOR_OUTPUTS)
        except (EngineUnavailable, OSError, ValueError) as error:
            _fail(results, detector, error)
            return
        with clock.stage("nms"):
            for index, (result, placement) in enumerate(looked_at):
                boxes = _picture(result).from_pixels(placement.to_picture(outputs["boxes"][index].astype(np.float32)))
                try:
                    result.objects = _objects(result, boxes, outputs["scores"][index], outputs["labels"][index], labels)
                except ValueError as error:
                    _fail([result], detector, error)
                result.engines[detector] = self._models.version_of(detector, int(outputs["build"][index, 0]))

    def _embed(self, results: list[Recognition], clock: StageClock) -> None:
        waiting = [r for r in results if r.error is None and (r.objects or r.request.regions is not None)]
        for embedder in dict.fromkeys(r.request.embedder for r in waiting):
            if embedder is not None:
                self._embed_with(embedder, [r for r in waiting if r.request.embedder == embedder], clock)

    def _embed_with(self, embedder: str, results: list[Recognition], clock: StageClock) -> None:
        try:
            spec = self._models.engine_input(embedder)
            pairs, inputs = self._operations.crops(results, spec, clock)
            if not pairs:
                return
            with clock.stage("embed"):
                outputs = self._infer(embedder, spec, inputs, EMBEDDER_OUTPUTS)
            for index, (result, found) in enumerate(pairs):
                found.embedding = outputs["embedding"][index].astype(np.float32, copy=False)
                result.engines[embedder] = self._models.version_of(embedder, int(outputs["build"][index, 0]))
        except (EngineUnavailable, OSError, ValueError) as error:
            _fail(results, embedder, error)

    def _infer(
        self, model: str, spec: EngineInput, inputs: EngineInputs, outputs: Sequence[str]
    ) -> dict[str, npt.NDArray[np.generic]]:
        """All images through one engine, in as few calls as its batch size allows."""
        step = max(1, spec.max_batch_size)
        batches = [inputs.part(at, at + step) for at in range(0, len(inputs), step)]
        parts = [self._engines.infer(model, batch, outputs) for batch in batches]
        return parts[0] if len(parts) == 1 else {k: np.concatenate([part[k] for part in parts]) for k in outputs}


class CpuOperations:
    """Pillow's, each picture on its own; a batch uses all cores."""

    def __init__(self, threads: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads or os.cpu_count(), thread_name_prefix="picture")

    def frames(
        self, results: Sequence[Recognition], spec: EngineInput, clock: StageClock
    ) -> tuple[list[tuple[Recognition, Placement]], EngineInputs]:
        fitted = self._each_timed(lambda result, own: _fit(result, spec, own), results, clock)
        looked_at = [(result, *fit) for result, fit in zip(results, fitted, strict=True) if fit is not None]
        return [(result, placement) for result, _, placement in looked_at], Stack(
            [pixels for _, pixels, _ in looked_at]
        )

    def crops(
        self, results: Sequence[Recognition], spec: EngineInput, clock: StageClock
    ) -> tuple[list[tuple[Recognition, FoundObject]], EngineInputs]:
        self._each_timed(lambda result, own: _cut(result, spec, own), results, clock)
        pairs = found_objects(results)
        return pairs, Stack([_pixels(found) for _, found in pairs])

    def finish(self) -> None:
        pass

    def close(self) -> None:
        self._pool.shutdown()

    def _each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Image work releases the GIL, so a batch uses all cores; one picture stays on this thread."""
        return [work(item) for item in items] if len(items) < 2 else list(self._pool.map(work, items))

    def _each_timed(
        self, work: Callable[[Item, StageClock], Result], items: Sequence[Item], clock: StageClock
    ) -> list[Result]:
        """Like `_each`, for work that goes through several stages."""
        started = time.perf_counter()
        timed = [(item, StageClock(STAGES)) for item in items]
        results = self._each(lambda pair: work(*pair), timed)
        clock.add_shared((time.perf_counter() - started) * 1e3, [own for _, own in timed])
        return results


@dataclass(frozen=True)
class Stack:
    """Engine inputs that were made one by one."""

    images: list[Pixels]

    def __len__(self) -> int:
        return len(self.images)

    def part(self, start: int, end: int) -> Pixels:
        return np.stack(self.images[start:end])


def _drop_cancelled(results: Sequence[Recognition]) -> None:
    for result in results:
        if result.error is None and result.request.is_cancelled():
            result.error = CallerGone("the caller has gone")


def _fit(result: Recognition, spec: EngineInput, clock: StageClock) -> tuple[Pixels, Placement] | None:
    """The detector's view of a picture, which is kept no larger than it may be; None where it cannot be used."""
    request = result.request
    try:
        with ExitStack() as use:
            with clock.stage("decode"):
                picture = use.enter_context(decoded(request.data, request.limits))
            with clock.stage("resize"):
                fitted = frame_to_input(picture.pixels, spec.height, spec.width, spec.fit)
                result.picture = picture.kept_small()
    except PictureError as error:
        result.error = error
        return None
    return fitted


def _cut(result: Recognition, spec: EngineInput, clock: StageClock) -> None:
    """Cuts every object out, of the picture that is there or of a sharper one where an object has too few pixels."""
    request = result.request
    picture = result.picture if isinstance(result.picture, Picture) else None
    regions, side = looked_at_closely(result)
    try:
        with ExitStack() as use:
            if picture is None or not picture.shows(regions, side):
                with clock.stage("decode"):
                    picture = use.enter_context(decoded(request.data, request.limits, regions, side))
            with clock.stage("crop"):
                result.picture = picture.kept_small()
                _cut_out(result, picture, spec)
    except PictureError as error:
        result.error = error


def _cut_out(result: Recognition, picture: Picture, spec: EngineInput) -> None:
    """Raises InvalidRegion."""
    take_regions(result, picture)
    for found in result.objects:
        box = picture.in_pixels(found.box)
        found.pixels = crop_to_input(picture.pixels, box, spec.height, spec.width, spec.fit)
        if result.request.keep_crops:
            found.crop = encode_crop(cut(picture.pixels, box, CROP_MAX_SIDE, CROP_MIN_SIDE))


def looked_at_closely(result: Recognition) -> tuple[tuple[Box, ...], int]:
    """Its objects, or its regions, and the shorter side that each of them keeps."""
    request = result.request
    regions = tuple(found.box for found in result.objects) if request.regions is None else request.regions
    # A crop that is kept outlives the space that it was made for.
    return regions, CROP_MAX_SIDE if request.keep_crops else REGION_SIDE


def take_regions(result: Recognition, picture: View) -> None:
    """A request's regions are its objects, exactly. Raises InvalidRegion."""
    if result.request.regions is not None:
        size = picture.width, picture.height
        regions = (checked_region(region, *size) for region in result.request.regions)
        result.objects = [FoundObject("", 1.0, region) for region in regions]


def found_objects(results: Sequence[Recognition]) -> list[tuple[Recognition, FoundObject]]:
    """Of all pictures that can be used, in order."""
    return [(result, found) for result in results if result.error is None for found in result.objects]


def _objects(
    result: Recognition,
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.generic],
    label_numbers: npt.NDArray[np.generic],
    labels: list[str],
) -> list[FoundObject]:
    """The candidates of one picture that survive NMS and cover at least one of its pixels; the unnamed come last."""
    picture, request = _picture(result), result.request
    visible = ((boxes[:, 2] - boxes[:, 0]) * picture.width >= 1) & ((boxes[:, 3] - boxes[:, 1]) * picture.height >= 1)
    boxes = boxes[visible]
    confidences = np.asarray(scores[visible], np.float32)
    numbers = np.asarray(label_numbers[visible], np.int32)
    kept = nms(
        boxes,
        confidences,
        numbers,
        iou=NMS_IOU,
        same_thing_iou=SAME_THING_IOU,
        min_score=request.min_score,
        max_objects=request.max_objects,
    )
    unnamed = unnamed_candidates(boxes, confidences, kept, request.unnamed)
    found = [(i, _label(labels, numbers[i])) for i in kept] + [(i, UNNAMED_LABEL) for i in unnamed]
    return [FoundObject(label, float(confidences[i]), Box(*map(float, boxes[i]))) for i, label in found]


def _label(labels: list[str], number: int) -> str:
    if not 0 <= number < len(labels):
        raise ValueError(f"found label number {number}, and labels.txt has {len(labels)} lines; give it one per label")
    return labels[number]


def _fail(results: list[Recognition], model: str, error: Exception) -> None:
    for result in results:
        result.error = (
            error
            if isinstance(error, EngineUnavailable)
            else EngineUnavailable(model, str(error), loaded=not isinstance(error, FileNotFoundError))
        )


def _picture(result: Recognition) -> View:
    if result.picture is None:
        raise AssertionError("a picture that was not decoded reached the engines")
    return result.picture


def _pixels(found: FoundObject) -> Pixels:
    if found.pixels is None:
        raise AssertionError("an object that was not cut out reached the embedder")
    return found.pixels
