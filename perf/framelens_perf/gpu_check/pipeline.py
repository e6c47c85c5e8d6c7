"""`recognizer` as a whole, in processes of its own as Triton runs its instances, with nothing of Triton between."""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from framelens_perf.gpu_check.engines import EngineFile, GpuEngines
from framelens_perf.in_process import DETECTOR, EMBEDDER
from framelens_triton.cuda.device import Device
from framelens_triton.gpu_operations import gpu_operations
from framelens_triton.models import ModelRepository
from framelens_triton.recognition import Recognition, Recognizer, Request

# As model_repository/recognizer/config.pbtxt has instances.
INSTANCES = 2
_WARM_UPS = 5


@dataclass(frozen=True)
class Description:
    """All that a process needs to make the pipeline anew."""

    ordinal: int
    repository: Path
    engines: dict[str, EngineFile]

    def recognizer(self) -> Recognizer:
        """On the thread that asks. Raises CudaError, and what opening an engine raises."""
        device = Device.open(self.ordinal)
        opened = {model: file.open(device) for model, file in self.engines.items()}
        return Recognizer(ModelRepository(self.repository), GpuEngines(opened), operations=gpu_operations(self.ordinal))


@dataclass(frozen=True)
class Rate:
    """Of one process: batches one after the other for so long."""

    frames: int
    seconds: float
    batch_ms: tuple[float, ...]


@dataclass(frozen=True)
class PipelineRate:
    batch: int
    instances: int
    frames_per_s: float
    p99_batch_ms: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rate_of(recognizer: Recognizer, frames: Sequence[bytes], batch: int, seconds: float) -> Rate:
    """Raises the error of a frame that was not recognised: such a rate would be of something else."""
    requests = [Request(frames[at % len(frames)], DETECTOR, EMBEDDER) for at in range(batch)]
    for _ in range(_WARM_UPS):
        recognised(recognizer, requests)
    took: list[float] = []
    started = now = time.perf_counter()
    while now - started < seconds:
        recognised(recognizer, requests)
        took.append((time.perf_counter() - now) * 1e3)
        now = time.perf_counter()
    return Rate(batch * len(took), now - started, tuple(took))


def recognised(recognizer: Recognizer, requests: Sequence[Request]) -> list[Recognition]:
    """Raises the first error of them."""
    results, _ = recognizer.recognize(requests)
    for result in results:
        if result.error is not None:
            raise result.error
    return results


def summed(batch: int, rates: Sequence[Rate]) -> PipelineRate:
    """Of processes that ran at the same time."""
    took = np.concatenate([rate.batch_ms for rate in rates])
    frames_per_s = sum(rate.frames / rate.seconds for rate in rates)
    return PipelineRate(batch, len(rates), frames_per_s, float(np.percentile(took, 99)))


class Pipelines:
    """Processes, each with the whole pipeline; all are started before any is measured."""

    def __init__(self, description: Description, instances: int) -> None:
        self._exits = ExitStack()
        spawn = get_context("spawn")
        self._pools = [
            self._exits.enter_context(ProcessPoolExecutor(1, spawn, initializer=_begin, initargs=(description,)))
            for _ in range(instances)
        ]

    def __enter__(self) -> "Pipelines":
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def make_ready(self, frames: Sequence[bytes], batch: int) -> None:
        """Raises what a process raises."""
        self._all(frames, batch, 0.0)

    def rate(self, frames: Sequence[bytes], batch: int, seconds: float) -> PipelineRate:
        """Of all processes at once. Raises what a process raises."""
        return summed(batch, self._all(frames, batch, seconds))

    def _all(self, frames: Sequence[bytes], batch: int, seconds: float) -> list[Rate]:
        running = [pool.submit(_rate, frames, batch, seconds) for pool in self._pools]
        return [each.result() for each in running]


# Of a pool's process, from its first call to its end.
_description: Description
_made: list[Recognizer] = []


def _begin(description: Description) -> None:
    global _description
    _description = description


def _rate(frames: Sequence[bytes], batch: int, seconds: float) -> Rate:
    """The pipeline is made here and not in `_begin`, whose errors a pool would not hand on."""
    if not _made:
        _made.append(_description.recognizer())
    return rate_of(_made[0], frames, batch, seconds)
