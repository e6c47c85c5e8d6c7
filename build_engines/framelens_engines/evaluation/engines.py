"""Opens an engine version where it can be run, by its record's target; the seam of evaluation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framelens_engines.engine import ENGINE_JSON, EngineRecord, read_record
from framelens_engines.errors import ProbeError
from framelens_engines.evaluation.plan_engine import open_plan
from framelens_engines.model_config import Shape, read_shape
from framelens_engines.probe import run
from framelens_engines.repository import engine_file
from framelens_engines.tensors import IMAGES, Answer
from framelens_triton.models import ModelRepository
from framelens_triton.onnx_session import onnx_session

ALL_CORES = 0


@dataclass(frozen=True)
class OpenEngine:
    """A loaded engine; `max_batch` is what config.pbtxt allows in one call."""

    folder: Path
    record: EngineRecord
    shape: Shape
    max_batch: int
    infer: Callable[[NDArray[np.uint8]], Answer]

    @property
    def name(self) -> str:
        return version_name(self.folder)


def version_name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def open_engine(folder: Path, threads: int = ALL_CORES) -> OpenEngine:
    """The engine of a version folder, with the model's config.pbtxt in its parent, on `threads` threads.

    A plan has no threads: it runs on the GPU. Raises EngineError where it cannot be run on this machine.
    """
    record = read_record(folder / ENGINE_JSON)
    shape = read_shape(folder.parent)
    max_batch = max(1, ModelRepository(folder.parent.parent).engine_input(folder.parent.name).max_batch_size)
    return OpenEngine(folder, record, shape, max_batch, _open(folder, record, threads, max_batch))


def _open(folder: Path, record: EngineRecord, threads: int, max_batch: int) -> Callable[[NDArray[np.uint8]], Answer]:
    path = engine_file(folder, record.target)
    if record.target == "tensorrt":
        return open_plan(path, max_batch)
    try:
        session: Any = onnx_session(path, threads)
    except Exception as error:  # ONNX Runtime's errors share no base but this
        raise ProbeError(f"{version_name(folder)} does not load in ONNX Runtime: {error}") from error
    return lambda images: run(session, {IMAGES: images})
