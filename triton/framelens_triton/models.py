"""Reads what a Triton model repository says about its engines: input size, labels, and which build is which version."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from framelens_triton.images.resize import Fit

log = logging.getLogger(__name__)

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
        self._versions: dict[str, tuple[int, dict[int, str]]] = {}

    def engine_input(self, model: str) -> EngineInput:
        """Raises FileNotFoundError where the repository has no such model, ValueError where it is no image engine."""
        path = self._path / model / "config.pbtxt"
        stamp = path.stat().st_mtime_ns
        known = self._inputs.get(model)
        if known is None or known[0] != stamp:
            known = self._inputs[model] = stamp, _engine_input(model, path.read_text(encoding="utf-8"))
        return known[1]

    def labels(self, model: str) -> list[str]:
        """The names behind a detector's label numbers. Raises FileNotFoundError where the model has none."""
        path = self._path / model / "labels.txt"
        stamp = path.stat().st_mtime_ns
        known = self._labels.get(model)
        if known is None or known[0] != stamp:
            known = self._labels[model] = stamp, path.read_text(encoding="utf-8").splitlines()
        return known[1]

    def version_of(self, model: str, build: int) -> str:
        """The version folder whose engine.json carries this build number, `?` where none does.

        Of several, the highest: the one that Triton serves.
        """
        folder = self._path / model
        if not folder.is_dir():  # A candidate that was dropped after it answered.
            return UNKNOWN_VERSION
        # Versions come and go by a rename, which changes the time of the model's folder.
        stamp = folder.stat().st_mtime_ns
        known = self._versions.get(model)
        if known is None or known[0] != stamp or build not in known[1]:
            known = self._versions[model] = stamp, _versions(folder)
        return known[1].get(build, UNKNOWN_VERSION)


def _versions(model: Path) -> dict[int, str]:
    """Build number to version folder."""
    folders = sorted((f for f in model.iterdir() if f.name.isdecimal()), key=lambda folder: int(folder.name))
    builds = {folder.name: _build(folder / "engine.json") for folder in folders}
    return {build: version for version, build in builds.items() if build is not None}


def _build(record: Path) -> int | None:
    """None where the record cannot be read: it names an answer, and an answer without a name is better than none."""
    try:
        return int(json.loads(record.read_text(encoding="utf-8"))["build"])
    except FileNotFoundError:  # Not an engine of ours, or retired this moment.
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s names no build (%r); publish that version again", record, error)
        return None


def _engine_input(model: str, text: str) -> EngineInput:
    try:
        config = text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise ValueError(f"model {model}: config.pbtxt is not a model configuration: {error}") from error
    images = [i for i in config.input if i.name == "images" and len(i.dims) == 3 and i.dims[2] == 3]
    if not images or min(images[0].dims) < 1:
        raise ValueError(f"model {model}: config.pbtxt has no input `images` of fixed dims [height, width, 3]")
    height, width, _ = images[0].dims
    fit = config.parameters["fit"].string_value if "fit" in config.parameters else Fit.STRETCH
    if fit not in list(Fit):
        raise ValueError(f"model {model}: config.pbtxt has parameter fit `{fit}`; it is {' or '.join(Fit)}")
    return EngineInput(height, width, Fit(fit), config.max_batch_size)
