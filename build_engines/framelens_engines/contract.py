"""What every engine takes and gives, whatever network is inside: the graph's first and last nodes.

Pictures come in as uint8 NHWC RGB and are normalised in the graph, so callers move a quarter of the bytes and cannot
normalise wrongly. Each answer carries `build`, the number of the engine build that gave it.
"""

from dataclasses import dataclass

import numpy as np
import onnx

from framelens_engines.onnx_graph import FLOAT, INT32, UINT8, GraphBuilder, Port
from framelens_engines.tensors import BOXES, BUILD, EMBEDDING, IMAGES, LABELS, SCORES

CANDIDATES = 100


@dataclass(frozen=True)
class Normalisation:
    """(pixel - mean) / std of each channel, in 0..255, after the channels are put into the network's order."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False


def images_port(height: int, width: int) -> Port:
    return Port(IMAGES, UINT8, (None, height, width, 3))


def detector_ports() -> list[Port]:
    return [
        Port(BOXES, FLOAT, (None, CANDIDATES, 4)),
        Port(SCORES, FLOAT, (None, CANDIDATES)),
        Port(LABELS, INT32, (None, CANDIDATES)),
        Port(BUILD, INT32, (None, 1)),
    ]


def embedder_ports(dimension: int) -> list[Port]:
    return [Port(EMBEDDING, FLOAT, (None, dimension)), Port(BUILD, INT32, (None, 1))]


def write_normalised(builder: GraphBuilder, normalisation: Normalisation, *, channels_first: bool = True) -> str:
    """`images` as float32, normalised, NCHW or NHWC."""
    # TensorRT takes uint8 only if a Cast comes first.
    value = builder.node("Cast", IMAGES, to=FLOAT)
    if normalisation.bgr:
        value = builder.node("Gather", value, builder.integers(2, 1, 0), axis=3)
    value = builder.node("Sub", value, builder.floats(*normalisation.mean))
    value = builder.node("Mul", value, builder.constant(1.0 / np.array(normalisation.std, dtype=np.float64)))
    return builder.node("Transpose", value, perm=[0, 3, 1, 2]) if channels_first else value


def write_build(builder: GraphBuilder, build: int) -> None:
    """Output `build`: the constant, once a picture."""
    batch = builder.node("Gather", builder.node("Shape", IMAGES), builder.integers(0))
    shape = builder.node("Concat", batch, builder.integers(1), axis=0)
    builder.node("Expand", builder.constant(np.array([[build]], dtype=np.int32)), shape, output=BUILD)


def with_build(model: onnx.ModelProto, build: int) -> onnx.ModelProto:
    """The same engine, answering with another build number."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    expand = next(node for node in changed.graph.node if BUILD in node.output)
    constant = next(tensor for tensor in changed.graph.initializer if tensor.name == expand.input[0])
    constant.CopyFrom(onnx.numpy_helper.from_array(np.array([[build]], dtype=np.int32), constant.name))
    return changed


def write_embedding(builder: GraphBuilder, feature: str) -> None:
    """Output `embedding`: `feature` (N, D) divided by its length."""
    length = builder.reduce("ReduceL2", feature, 1, keepdims=True)
    builder.node("Div", feature, builder.node("Max", length, builder.floats(1e-12)), output=EMBEDDING)
