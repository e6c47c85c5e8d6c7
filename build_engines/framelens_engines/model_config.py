"""config.pbtxt of detectors and embedders: written for a new model, compared for one that exists."""

from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from framelens_engines.errors import RepositoryError
from framelens_engines.repository import CONFIG, CONFIGS, LABELS_FILE, configuration
from framelens_triton.images.resize import Fit

# By this the gateway knows that a model is an embedding space.
EMBEDDER_PREFIX = "embedder_"

_FITS = {
    Fit.STRETCH: "stretch, or letterbox (keeps the aspect, pads with grey 114).",
    Fit.LETTERBOX: "letterbox (keeps the aspect, pads with grey 114), or stretch.",
}


@dataclass(frozen=True)
class DetectorShape:
    """What callers of a detector depend on; `labels` in the order of the network's classes, without background."""

    height: int
    width: int
    labels: tuple[str, ...]
    fit: Fit


@dataclass(frozen=True)
class EmbedderShape:
    """What callers of an embedder depend on."""

    height: int
    width: int
    dimension: int
    fit: Fit


Shape = DetectorShape | EmbedderShape

_BUILD_OUTPUT = """\
  # Which engine build answered; engine.json of each version says its own.
  { name: "build" data_type: TYPE_INT32 dims: [ 1 ] }
"""
_SCHEDULING = """\
dynamic_batching { }
instance_group [ { count: 1 kind: KIND_CPU } ]
"""


def description(name: str, shape: Shape) -> dict[str, str]:
    """The files beside a new model's versions, by name."""
    texts = {CONFIG: render(name, shape)}
    if isinstance(shape, DetectorShape):
        texts[LABELS_FILE] = "\n".join(shape.labels) + "\n"
    return texts


def render(name: str, shape: Shape) -> str:
    """The text of a new model's config.pbtxt."""
    return _detector(name, shape) if isinstance(shape, DetectorShape) else _embedder(name, shape)


def _head(name: str, shape: Shape) -> str:
    return f"""\
name: "{name}"
backend: "onnxruntime"
max_batch_size: 32
input [ {{ name: "images" data_type: TYPE_UINT8 dims: [ {shape.height}, {shape.width}, 3 ] }} ]
"""


def _detector(name: str, shape: DetectorShape) -> str:
    return f"""\
# Finds objects: one box per candidate, best first, at most 100; NMS runs in recognizer.
{_head(name, shape)}output [
  # x_min, y_min, x_max, y_max in 0..1 of the engine's input.
  {{ name: "boxes" data_type: TYPE_FP32 dims: [ 100, 4 ] }},
  {{ name: "scores" data_type: TYPE_FP32 dims: [ 100 ] }},
  # Line numbers, from 0, of labels.txt.
  {{ name: "labels" data_type: TYPE_INT32 dims: [ 100 ] label_filename: "labels.txt" }},
{_BUILD_OUTPUT}]
# How a picture becomes the input: {_FITS[shape.fit]}
parameters {{ key: "fit" value {{ string_value: "{shape.fit}" }} }}
{_SCHEDULING}"""


def _embedder(name: str, shape: EmbedderShape) -> str:
    return f"""\
# The embedding space {name.removeprefix(EMBEDDER_PREFIX)}: a crop becomes an L2-normalised vector.
{_head(name, shape)}output [
  {{ name: "embedding" data_type: TYPE_FP32 dims: [ {shape.dimension} ] }},
{_BUILD_OUTPUT}]
parameters {{ key: "fit" value {{ string_value: "{shape.fit}" }} }}
{_SCHEDULING}"""


def differences(folder: Path, shape: Shape) -> list[str]:
    """In what the model in `folder` differs from `shape`, one sentence each; settings of Triton's own do not count."""
    existing = _parse(folder / CONFIG)
    wanted = text_format.Parse(render(folder.name, shape), model_config_pb2.ModelConfig())
    found = [
        f"{kind} {name}: is {theirs.get(name, 'absent')}, would be {ours.get(name, 'absent')}"
        for kind, theirs, ours in (
            ("input", _tensors(existing.input), _tensors(wanted.input)),
            ("output", _tensors(existing.output), _tensors(wanted.output)),
        )
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    ]
    fit = existing.parameters["fit"].string_value if "fit" in existing.parameters else "absent"
    if fit != shape.fit:
        found.append(f"fit: is {fit}, would be {shape.fit}")
    if isinstance(shape, DetectorShape) and (folder / LABELS_FILE).is_file():
        labels = tuple((folder / LABELS_FILE).read_text(encoding="utf-8").splitlines())
        if labels != shape.labels:
            found.append(f"{LABELS_FILE}: has {len(labels)} labels, {_first_difference(labels, shape.labels)}")
    return found


def read_shape(folder: Path) -> Shape:
    """What callers of the model in `folder` depend on. Raises RepositoryError where it is neither of ours."""
    config = _parse(folder / CONFIG)
    fit = Fit(config.parameters["fit"].string_value or Fit.STRETCH)
    dims = {tensor.name: list(tensor.dims) for tensor in [*config.input, *config.output]}
    if "images" in dims and "embedding" in dims:
        height, width, _ = dims["images"]
        return EmbedderShape(height, width, dims["embedding"][0], fit)
    if "images" in dims and "boxes" in dims:
        labels = (folder / LABELS_FILE).read_text(encoding="utf-8").splitlines()
        height, width, _ = dims["images"]
        return DetectorShape(height, width, tuple(labels), fit)
    raise RepositoryError(f"{folder} is neither a detector nor an embedder: its tensors are {sorted(dims)}")


def expect_shape(folder: Path, shape: Shape) -> None:
    """Raises RepositoryError if callers of the model in `folder` would see another shape."""
    if found := differences(folder, shape):
        raise RepositoryError(
            f"{folder.name} exists in {folder.parent} with another shape; choose another name. " + "; ".join(found)
        )


def expect_backend(folder: Path, target: str, config_name: str | None = None) -> None:
    """Raises RepositoryError if the model in `folder`, where it exists, is run by another backend than `target`."""
    path = configuration(folder, config_name)
    if path.is_file() and (backend := _parse(path).backend) != target:
        raise RepositoryError(
            f"{folder.name} is served by backend {backend} ({path.relative_to(folder)}), which does not run engines for"
            f" {target}{_served_otherwise(folder, target)}"
        )


def _served_otherwise(folder: Path, target: str) -> str:
    """What to do where the model has another configuration that runs such engines."""
    fitting = [path for path in sorted((folder / CONFIGS).glob("*.pbtxt")) if _parse(path).backend == target]
    if not fitting:
        return ""
    name = fitting[0].stem
    return f"; {CONFIGS}/{name}.pbtxt does: where Triton was started with it, say --model-config-name {name} here too"


def _parse(path: Path) -> model_config_pb2.ModelConfig:
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
    except (OSError, text_format.ParseError) as error:
        raise RepositoryError(f"{path} cannot be read as a model's configuration: {error}") from error


def _tensors(tensors: list[model_config_pb2.ModelInput] | list[model_config_pb2.ModelOutput]) -> dict[str, str]:
    return {tensor.name: f"{model_config_pb2.DataType.Name(tensor.data_type)}{list(tensor.dims)}" for tensor in tensors}


def _first_difference(theirs: tuple[str, ...], ours: tuple[str, ...]) -> str:
    for line, (left, right) in enumerate(zip(theirs, ours, strict=False), start=1):
        if left != right:
            return f"line {line} is {left!r} and would be {right!r}"
    return f"there would be {len(ours)}"
