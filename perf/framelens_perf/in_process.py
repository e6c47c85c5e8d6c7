"""The same stages on the same engines in one process, with nothing in between: what serving is measured against."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from framelens_triton.images.resize import Pixels
from framelens_triton.models import ModelRepository
from framelens_triton.onnx_session import onnx_session
from framelens_triton.recognition import Recognizer

DETECTOR, EMBEDDER = "detector", "embedder_effnet_lite0"


class OnnxEngines:
    """The newest version of each engine of a model repository, each in a session of its own."""

    def __init__(self, repository: Path, models: Sequence[str], threads: int) -> None:
        self._sessions = {model: onnx_session(newest_engine(repository / model), threads) for model in models}

    def infer(self, model: str, images: Pixels, outputs: Sequence[str]) -> dict[str, npt.NDArray[np.generic]]:
        return dict(zip(outputs, self._sessions[model].run(list(outputs), {"images": images}), strict=True))


def in_process_recognizer(repository: Path, models: Sequence[str], threads: int = 0) -> Recognizer:
    """`threads` of each engine; 0, as in config.pbtxt where none is named, means one on each core."""
    return Recognizer(ModelRepository(repository), OnnxEngines(repository, models, threads), threads or None)


def newest_engine(model: Path) -> Path:
    """The file of the highest version in a model's folder."""
    versions = [folder for folder in model.iterdir() if folder.name.isdecimal()]
    return max(versions, key=lambda folder: int(folder.name)) / "model.onnx"
