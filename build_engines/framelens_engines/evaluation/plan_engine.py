"""Runs a TensorRT plan on this machine's GPU, as the embedded Triton's backend does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens_engines.errors import EngineError
from framelens_engines.tensors import IMAGES, Answer
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.errors import CudaError
from framelens_triton.plan_record import PlanMismatch
from framelens_triton.tensorrt_engine import PlanError, TensorrtEngine


def open_plan(plan: Path, max_batch: int) -> Callable[[NDArray[np.uint8]], Answer]:
    """For the thread that opens it; engine.json lies beside it. Raises EngineError where it cannot be run here."""
    try:
        engine = TensorrtEngine(plan, Device.open(), max_batch)
    except (CudaError, PlanError, PlanMismatch) as error:
        raise EngineError(
            f"{plan} cannot be run on this machine: {error}. Validate a plan where the GPU and the TensorRT are that it"
            " is for"
        ) from error
    outputs = sorted(engine.tensors - {IMAGES})

    def infer(images: NDArray[np.uint8]) -> Answer:
        engine.put(IMAGES, 0, images)
        engine.run(len(images))
        return engine.fetch(outputs, len(images))

    return infer
