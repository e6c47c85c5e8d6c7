"""Reads what a Triton model repository says about its engines: input size, labels, and which build is which version."""

import json
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from framelens_triton.images.resize import Fit

# The version to report for a build that no engine.json names, such as an engine put there by hand.
UNKNOWN_VERSION = "?"


@dataclass(frozen=True)
class EngineInput:
    """The uint8 NHWC pictures that an engine takes, and how many at once."""

    height: int
    width: int
    fit: Fit
    max_batch_size: int


class ModelRepository:
    """A model repository on disk; what is read is kept until the file behind it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inputs: dict[str, tuple[int, EngineInput]] = {}
        self._labels: dict[str, tuple[int, list[str]]] = {}
        self._versions: dict[tuple[str, int], str] = {}

    def exists(self, model: str) -> bool:
        return (self._path / model / "config.pbtxt").is_file()

    def engine_input(self, model: str) -> EngineInput:
        """Raises FileNotFoundError where the repository has no such model, ValueError where it is no image engine."""
        path = self._path / model / "config.pbtxt"
        stamp = path.stat().st_mtime_ns
        if self._inputs.get(model, (0,))[0] != stamp:
            self._inputs[model] = stamp, _engine_input(model, path.read_text())
        return self._inputs[model][1]

    def labels(self, model: str) -> list[str]:
        """The names behind a detector's label numbers."""
        path = self._path / model / "labels.txt"
        stamp = path.stat().st_mtime_ns
        if self._labels.get(model, (0,))[0] != stamp:
            self._labels[model] = stamp, path.read_text(encoding="utf-8").splitlines()
        return self._labels[model][1]

    def version_of(self, model: str, build: int) -> str:
        """The version folder whose engine.json carries this build number, `?` where none does."""
        if (model, build) not in self._versions:
            for record in sorted((self._path / model).glob("*/engine.json")):
                self._versions[model, json.loads(record.read_text())["build"]] = record.parent.name
        return self._versions.get((model, build), UNKNOWN_VERSION)


def _engine_input(model: str, text: str) -> EngineInput:
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    images = [i for i in config.input if i.name == "images" and len(i.dims) == 3 and i.dims[2] == 3]
    if not images:
        raise ValueError(f"model {model}: config.pbtxt has no input `images` of dims [height, width, 3]")
    height, width, _ = images[0].dims
    fit = config.parameters["fit"].string_value if "fit" in config.parameters else Fit.STRETCH
    return EngineInput(height, width, Fit(fit), config.max_batch_size)
