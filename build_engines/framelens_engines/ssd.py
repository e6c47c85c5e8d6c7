"""TensorFlow's frozen ssd_mobilenet_v2_coco_2018_03_29 as a detector engine.

The graph is walked back from the twelve predictors to the preprocessor; what is constant is computed in float64, batch
norms go into the convolutions before them, and everything TensorFlow does around the network (resize, anchors, NMS) is
replaced by the contract's first and last nodes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from framelens_engines import candidates, contract
from framelens_engines.convolution import Convolution, Feature, add, relu6
from framelens_engines.errors import ConversionError
from framelens_engines.graphdef import Node, read_nodes
from framelens_engines.onnx_graph import GraphBuilder
from framelens_engines.ssd_anchors import ssd_anchors
from framelens_engines.tensors import SCORES

INPUT_SIZE = 300
CLASSES = 90  # COCO's label ids 1..90; the network's class 0 is background
_LAYERS = 6
_PREPROCESSED = "Preprocessor/sub"
# faster_rcnn_box_coder of pipeline.config: y_scale, x_scale, height_scale, width_scale.
_BOX_CODER = np.array([10.0, 10.0, 5.0, 5.0])

_Value = NDArray[np.float64] | Convolution | Feature


@dataclass(frozen=True)
class Predictions:
    """Names of (N, 1917, 90) class logits without background and (N, 1917, 4) encoded boxes, and the anchors."""

    logits: str
    encodings: str
    anchors: NDArray[np.float64]


def convert(graph: bytes, build: int) -> onnx.ModelProto:
    """The detector engine; raises ConversionError if `graph` is another network."""
    builder = GraphBuilder()
    predictions = write_predictions(builder, read_nodes(graph))
    chosen = candidates.select_candidates(builder, predictions.logits)
    builder.node("Sigmoid", chosen.best, output=SCORES)
    candidates.write_labels(builder, chosen)
    candidates.write_boxes(builder, _decode(builder, predictions, chosen.positions), candidates.BoxFormat("cycxhw"))
    contract.write_build(builder, build)
    return builder.model("detector", [contract.images_port(INPUT_SIZE, INPUT_SIZE)], contract.detector_ports())


def write_predictions(builder: GraphBuilder, nodes: dict[str, Node]) -> Predictions:
    """Everything from `images` to raw predictions."""
    network = _Network(builder, nodes)
    logits, encodings, maps = [], [], []
    for layer in range(_LAYERS):
        classes = network.predictor(f"BoxPredictor_{layer}/ClassPredictor/BiasAdd")
        boxes = network.predictor(f"BoxPredictor_{layer}/BoxEncodingPredictor/BiasAdd")
        logits.append(_per_anchor(builder, _without_background(classes).write(builder), CLASSES))
        feature = boxes.write(builder)
        encodings.append(_per_anchor(builder, feature, 4))
        maps.append((feature.height, feature.width))
    return Predictions(
        builder.node("Concat", *logits, axis=1), builder.node("Concat", *encodings, axis=1), ssd_anchors(maps)
    )


class _Network:
    """The part of the graph that depends on the picture, written operator by operator."""

    def __init__(self, builder: GraphBuilder, nodes: dict[str, Node]) -> None:
        self._builder = builder
        self._nodes = nodes
        self._values: dict[str, _Value] = {_PREPROCESSED: self._preprocessed()}
        self._written: dict[Convolution, Feature] = {}

    def predictor(self, name: str) -> Convolution:
        for node in _in_order(self._nodes, name, set(self._values)):
            self._values[node.name] = self._value(node)
        value = self._values[name]
        if not isinstance(value, Convolution):
            raise ConversionError(f"{name} is not a convolution; is this ssd_mobilenet_v2_coco?")
        return value

    def _preprocessed(self) -> Feature:
        # The graph computes pixel * m - s, which is (pixel - s / m) / (1 / m).
        factor = float(_find(self._nodes, "Preprocessor/mul/x").tensor())
        offset = float(_find(self._nodes, "Preprocessor/sub/y").tensor())
        normalisation = contract.Normalisation((offset / factor,) * 3, (1 / factor,) * 3)
        return Feature(contract.write_normalised(self._builder, normalisation), 3, INPUT_SIZE, INPUT_SIZE)

    def _value(self, node: Node) -> _Value:
        inputs = [self._values[name] for name in node.inputs]
        match node.op, inputs:
            case "Const", []:
                return node.tensor().astype(np.float64)
            case "Identity", [value]:
                return value
            case "Rsqrt", [np.ndarray() as value]:
                return 1.0 / np.sqrt(value)
            case "Sub", [np.ndarray() as left, np.ndarray() as right]:
                return np.subtract(left, right)
            case "Mul", [np.ndarray() as left, np.ndarray() as right]:
                return np.multiply(left, right)
            case "Add", [np.ndarray() as left, np.ndarray() as right]:
                return np.add(left, right)
            case "Mul", [Convolution() as convolution, np.ndarray() as factor]:
                return convolution.scaled(factor)
            case "Add" | "BiasAdd", [Convolution() as convolution, np.ndarray() as offset]:
                return convolution.shifted(offset)
            case "Add", [Convolution() | Feature() as left, Convolution() | Feature() as right]:
                return add(self._builder, self._feature(left), self._feature(right))
            case "Relu6", [Convolution() | Feature() as value]:
                return relu6(self._builder, self._feature(value))
            case "Conv2D" | "DepthwiseConv2dNative", [Convolution() | Feature() as value, np.ndarray() as weights]:
                return _convolution(node, self._feature(value), weights)
        kinds = [type(value).__name__ for value in inputs]
        raise ConversionError(f"node {node.name} is a {node.op} of {kinds}, which ssd_mobilenet_v2_coco does not have")

    def _feature(self, value: Convolution | Feature) -> Feature:
        if isinstance(value, Feature):
            return value
        if value not in self._written:
            self._written[value] = value.write(self._builder)
        return self._written[value]


def _convolution(node: Node, source: Feature, weights: NDArray[np.float64]) -> Convolution:
    layout, padding = node.string("data_format"), node.string("padding")
    dilations = node.integers("dilations")
    if (layout, padding) != ("NHWC", "SAME") or set(dilations) != {1}:
        raise ConversionError(
            f"{node.name} is {layout}, {padding}, dilated {dilations}; expected NHWC, SAME, undilated"
        )
    _, stride_y, stride_x, _ = node.integers("strides")
    height, width, channels, per_channel = weights.shape
    if node.op == "Conv2D":
        return Convolution(source, weights.transpose(3, 2, 0, 1), (stride_y, stride_x))
    depthwise = weights.transpose(2, 3, 0, 1).reshape(channels * per_channel, 1, height, width)
    return Convolution(source, depthwise, (stride_y, stride_x), groups=channels)


def _without_background(predictor: Convolution) -> Convolution:
    """Drops class 0 of each anchor from a class predictor's output channels."""
    channels, *kernel = predictor.weights.shape
    if channels % (CLASSES + 1):
        raise ConversionError(
            f"a class predictor has {channels} channels, no multiple of {CLASSES} classes + background"
        )
    weights = predictor.weights.reshape(-1, CLASSES + 1, *kernel)[:, 1:].reshape(-1, *kernel)
    bias = predictor.bias.reshape(-1, CLASSES + 1)[:, 1:].reshape(-1)
    return Convolution(predictor.source, weights, predictor.strides, predictor.groups, bias)


def _per_anchor(builder: GraphBuilder, feature: Feature, values: int) -> str:
    """(N, anchors * values, height, width) -> (N, height * width * anchors, values)."""
    channels_last = builder.node("Transpose", feature.name, perm=[0, 2, 3, 1])
    count = feature.channels * feature.height * feature.width // values
    return builder.node("Reshape", channels_last, builder.integers(0, count, values))


def _decode(builder: GraphBuilder, predictions: Predictions, positions: str) -> str:
    """(N, 100, 4) centre y and x, height and width of the candidates, by the box coder."""
    encoded = candidates.gather_candidates(builder, predictions.encodings, positions)
    anchors = builder.node("Gather", builder.constant(predictions.anchors), positions, axis=0)
    halves = builder.integers(2, 2)
    anchor_centre, anchor_size = builder.multi_node("Split", anchors, halves, outputs=2, axis=2)
    scaled = builder.node("Mul", encoded, builder.constant(1.0 / _BOX_CODER))
    shift, log_size = builder.multi_node("Split", scaled, halves, outputs=2, axis=2)
    centre = builder.node("Add", builder.node("Mul", shift, anchor_size), anchor_centre)
    size = builder.node("Mul", builder.node("Exp", log_size), anchor_size)
    return builder.node("Concat", centre, size, axis=2)


def _find(nodes: dict[str, Node], name: str) -> Node:
    if name not in nodes:
        raise ConversionError(f"the graph has no node {name}; is this ssd_mobilenet_v2_coco?")
    return nodes[name]


def _in_order(nodes: dict[str, Node], target: str, known: set[str]) -> Iterator[Node]:
    """The nodes that `target` needs beyond `known`, each after its inputs; iterative, for the graph is deep."""
    pending = [target]
    while pending:
        node = _find(nodes, pending[-1])
        missing = [name for name in node.inputs if name not in known]
        if missing:
            pending += missing
        else:
            pending.pop()
            if node.name not in known:
                known.add(node.name)
                yield node
