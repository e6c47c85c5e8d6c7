"""Engines from a user's own ONNX: the network between the contract's first and last nodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from pydantic import JsonValue

from framelens_engines import candidates, contract
from framelens_engines.build import Plan
from framelens_engines.engine import Recipe, Source
from framelens_engines.errors import RefusedModelError
from framelens_engines.model_config import DetectorShape, EmbedderShape
from framelens_engines.onnx_graph import FLOAT, GraphBuilder, Port
from framelens_engines.tensors import SCORES
from framelens_engines.user_model import PictureInput, UserModel, read_user_model, select_outputs
from framelens_triton.images.resize import Fit

DetectorFormat = Literal["ssd", "yolo"]
Activation = Literal["none", "sigmoid", "softmax"]

_REVISION = 1
_NETWORK = "network/"
# Probabilities of a float16 network may leave 0..1 by a rounding error.
_SCORE_TOLERANCE = 1e-3
# Nine in ten coordinates of boxes in 0..1 lie below this, and hardly any of boxes in pixels do.
_LARGEST_UNIT_COORDINATE = 2.0


@dataclass(frozen=True)
class DetectorOutput:
    """What the user says of a detector's outputs.

    ssd: decoded boxes [N, anchors, 4] and scores [N, anchors, classes]. yolo: one output [N, 4 + classes, anchors].
    """

    format: DetectorFormat
    labels: tuple[str, ...]
    box_order: str
    boxes_in_pixels: bool
    activation: Activation = "none"
    background: bool = False
    names: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        return len(self.labels) + self.background


def detector_plan(name: str, path: Path, picture: PictureInput, output: DetectorOutput, fit: Fit) -> Plan:
    """Raises RefusedModelError if the file does not fit the description."""
    user = read_user_model(path, picture)
    chosen = _ssd_outputs(user, output) if output.format == "ssd" else _yolo_output(user, output)
    _expect_units(user, chosen, output)
    conversion: dict[str, JsonValue] = {
        **_input_conversion(picture),
        "format": output.format,
        "outputs": list(chosen),
        "box_order": output.box_order,
        "boxes_in_pixels": output.boxes_in_pixels,
        "activation": output.activation,
        "background": output.background,
    }
    recipe = _recipe(name, user, conversion)

    def write(builder: GraphBuilder) -> list[Port]:
        _write_detections(builder, chosen, picture, output)
        return contract.detector_ports()

    shape = DetectorShape(picture.height, picture.width, output.labels, fit)
    return Plan(recipe, shape, lambda: _wrap(user, picture, recipe.build, write))


def embedder_plan(name: str, path: Path, picture: PictureInput, names: Sequence[str], fit: Fit) -> Plan:
    """Raises RefusedModelError if the file does not fit the description."""
    user = read_user_model(path, picture)
    (chosen,) = select_outputs(user, names, 1, "1 output [N, D]")
    _, *sizes = user.outputs[chosen].shape
    if not sizes or sizes[0] < 2 or any(size != 1 for size in sizes[1:]):
        raise RefusedModelError(
            f"{user.file}: output {chosen}: expected [N, D] or [N, D, 1, 1] with D >= 2, found {['N', *sizes]}"
        )
    recipe = _recipe(name, user, {**_input_conversion(picture), "outputs": [chosen]})

    def write(builder: GraphBuilder) -> list[Port]:
        feature = builder.node("Flatten", _as_float(builder, chosen), axis=1)
        contract.write_embedding(builder, feature)
        return contract.embedder_ports(sizes[0])

    shape = EmbedderShape(picture.height, picture.width, sizes[0], fit)
    return Plan(recipe, shape, lambda: _wrap(user, picture, recipe.build, write))


def _ssd_outputs(user: UserModel, output: DetectorOutput) -> tuple[str, ...]:
    """Names of boxes and scores."""
    what = f"2 outputs, boxes [N, anchors, 4] and scores [N, anchors, {output.classes}]"
    chosen = select_outputs(user, output.names, 2, what)
    if not output.names:
        is_boxes = [user.outputs[name].shape[-1] == 4 for name in chosen]
        if all(is_boxes):
            raise RefusedModelError(f"{user.file}: both {chosen[0]} and {chosen[1]} could be boxes; see --outputs")
        chosen.sort(key=lambda name: user.outputs[name].shape[-1] != 4)
    boxes, scores = (user.outputs[name].shape for name in chosen)
    if len(boxes) != 3 or boxes[2] != 4 or len(scores) != 3 or scores[1] != boxes[1]:
        found = f"{chosen[0]} {list(boxes)} and {chosen[1]} {list(scores)}"
        raise RefusedModelError(f"{user.file}: expected {what}, found {found}")
    _expect_classes(user, output, scores[2])
    _expect_anchors(user, boxes[1])
    return tuple(chosen)


def _yolo_output(user: UserModel, output: DetectorOutput) -> tuple[str, ...]:
    what = f"1 output [N, {4 + output.classes}, anchors]"
    (name,) = select_outputs(user, output.names, 1, what)
    shape = user.outputs[name].shape
    if len(shape) != 3 or shape[1] < 5:
        raise RefusedModelError(f"{user.file}: expected {what}, found {name} {list(shape)}")
    if shape[1] != 4 + output.classes and shape[2] == 4 + output.classes:
        raise RefusedModelError(f"{user.file}: expected {what}, found {name} {list(shape)}, which is transposed")
    _expect_classes(user, output, shape[1] - 4)
    _expect_anchors(user, shape[2])
    return (name,)


def _expect_classes(user: UserModel, output: DetectorOutput, found: int) -> None:
    if found != output.classes:
        background = " and a background class" if output.background else ""
        hint = "; is the first class background (--background)?" if found == len(output.labels) + 1 else ""
        raise RefusedModelError(
            f"{user.file}: expected {output.classes} classes ({len(output.labels)} labels{background}), found"
            f" {found}{hint}"
        )


def _expect_anchors(user: UserModel, found: int) -> None:
    if found < contract.CANDIDATES:
        raise RefusedModelError(
            f"{user.file}: expected at least {contract.CANDIDATES} anchors before NMS, found {found}; is NMS in"
            " the graph?"
        )


def _expect_units(user: UserModel, chosen: Sequence[str], output: DetectorOutput) -> None:
    """Scores that are probabilities once activated, and boxes in the unit that was said."""
    if output.format == "ssd":
        boxes, scores = (user.outputs[name] for name in chosen)
    else:
        boxes, scores = np.split(user.outputs[chosen[0]], [4], axis=1)
    low, high = float(scores.min()), float(scores.max())
    if output.activation == "none" and max(-low, high - 1) > _SCORE_TOLERANCE:
        raise RefusedModelError(
            f"{user.file}: expected scores in 0..1, found {low:.4g} to {high:.4g}; see --activation sigmoid or softmax"
        )
    typical = float(np.quantile(np.abs(boxes), 0.9))
    if output.boxes_in_pixels != (typical > _LARGEST_UNIT_COORDINATE):
        expected, other = ("pixels", "unit") if output.boxes_in_pixels else ("unit", "pixels")
        raise RefusedModelError(
            f"{user.file}: expected boxes in {expected}, found coordinates whose 90th percentile is {typical:.4g}; see"
            f" --box-unit {other}"
        )


def _write_detections(
    builder: GraphBuilder, chosen: Sequence[str], picture: PictureInput, output: DetectorOutput
) -> None:
    boxes, scores = _boxes_and_scores(builder, chosen, output)
    if output.activation == "softmax":
        scores = builder.node("Softmax", scores, axis=2)
    if output.background:
        scores = _slice(builder, scores, 1, output.classes)
    best = candidates.select_candidates(builder, scores)
    activated = builder.node("Sigmoid", best.best) if output.activation == "sigmoid" else best.best
    builder.node("Clip", activated, builder.floats(0.0), builder.floats(1.0), output=SCORES)
    candidates.write_labels(builder, best)
    size = (picture.height, picture.width) if output.boxes_in_pixels else None
    gathered = candidates.gather_candidates(builder, boxes, best.positions)
    candidates.write_boxes(builder, gathered, candidates.BoxFormat(output.box_order, size))


def _boxes_and_scores(builder: GraphBuilder, chosen: Sequence[str], output: DetectorOutput) -> tuple[str, str]:
    """(N, anchors, 4) and (N, anchors, classes)."""
    if output.format == "ssd":
        boxes, scores = (_as_float(builder, name) for name in chosen)
        return boxes, scores
    anchors = builder.node("Transpose", _as_float(builder, chosen[0]), perm=[0, 2, 1])
    return _slice(builder, anchors, 0, 4), _slice(builder, anchors, 4, 4 + output.classes)


def _slice(builder: GraphBuilder, value: str, start: int, stop: int) -> str:
    return builder.node("Slice", value, builder.integers(start), builder.integers(stop), builder.integers(2))


def _as_float(builder: GraphBuilder, output: str) -> str:
    return builder.node("Cast", f"{_NETWORK}{output}", to=FLOAT)


def _wrap(
    user: UserModel, picture: PictureInput, build: int, write: Callable[[GraphBuilder], list[Port]]
) -> onnx.ModelProto:
    """The network with its names out of the way, between what `write` adds after it and the normalised pictures."""
    model = onnx.compose.add_prefix(user.model, _NETWORK)
    builder = GraphBuilder(user.opset, prefix="framelens/")
    pictures = contract.write_normalised(builder, picture.normalisation, channels_first=picture.channels_first)
    builder.node("Cast", pictures, output=f"{_NETWORK}{user.input_name}", to=user.input_type)
    first = len(builder.nodes)
    outputs = write(builder)
    contract.write_build(builder, build)
    graph = model.graph
    nodes = [*builder.nodes[:first], *graph.node, *builder.nodes[first:]]
    del graph.node[:], graph.output[:]
    graph.node.extend(nodes)
    graph.output.extend(port.value_info() for port in outputs)
    graph.initializer.extend(builder.initializers)
    weights = [port for port in graph.input if port.name != f"{_NETWORK}{user.input_name}"]
    del graph.input[:]
    graph.input.extend([contract.images_port(picture.height, picture.width).value_info(), *weights])
    onnx.checker.check_model(model)
    return model


def _recipe(name: str, user: UserModel, conversion: dict[str, JsonValue]) -> Recipe:
    source = Source(
        package=None, version=None, file=user.file, sha256=user.sha256, licence="the user's own; not looked at"
    )
    return Recipe(model=name, source=source, precision="fp32", target="onnxruntime", conversion=conversion)


def _input_conversion(picture: PictureInput) -> dict[str, JsonValue]:
    return {
        "importer": "user_onnx",
        "revision": _REVISION,
        "input_size": [picture.height, picture.width],
        "mean": list(picture.normalisation.mean),
        "std": list(picture.normalisation.std),
        "layout": "nchw" if picture.channels_first else "nhwc",
        "color": "bgr" if picture.normalisation.bgr else "rgb",
    }
