"""Quantisation of a small network whose FP32 answers are known, and what stays in FP32."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from framelens_engines.int8 import quantised
from framelens_engines.probe import run
from framelens_engines.progress import Reporter
from framelens_triton.onnx_session import onnx_session

_NETWORK = """
<ir_version: 8, opset_import: ["" : 17]>
network (uint8[n,16,16,3] images) => (float[n,8,16,16] y)
{
    pixels = Cast<to = 1>(images)
    centred = Sub(pixels, mean)
    scaled = Mul(centred, factor)
    first = Transpose<perm = [0, 3, 1, 2]>(scaled)
    a = Conv<pads = [1, 1, 1, 1]>(first, wa, ba)
    ra = Clip(a, zero, six)
    b = Conv<pads = [1, 1, 1, 1]>(ra, wb, bb)
    rb = Clip(b, zero, six)
    c = Conv<pads = [1, 1, 1, 1]>(rb, wc, bc)
    y = Add(c, b)
}
"""


@pytest.fixture(scope="module")
def network() -> onnx.ModelProto:
    model = onnx.parser.parse_model(_NETWORK)
    draw = np.random.default_rng(0)
    constants = {"mean": np.float32(127), "factor": np.float32(1 / 128), "zero": np.float32(0), "six": np.float32(6)}
    for name, channels in (("a", 3), ("b", 8), ("c", 8)):
        constants[f"w{name}"] = draw.normal(0, 0.4, (8, channels, 3, 3)).astype(np.float32)
        constants[f"b{name}"] = draw.normal(0.3, 0.3, 8).astype(np.float32)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    return model


@pytest.fixture(scope="module")
def inputs() -> NDArray[np.uint8]:
    coarse = np.random.default_rng(1).integers(0, 256, (16, 4, 4, 3), np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def _answer(model: onnx.ModelProto, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """As the graph says: integer arithmetic for TensorRT is the GPU's, and this CPU may not have it."""
    return run(onnx_session(model.SerializeToString(), threads=0, as_written=True), {"images": inputs})["y"]


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_answers_stay_near_and_their_means_nearer(
    network: onnx.ModelProto, inputs: NDArray[np.uint8], quiet: Reporter, symmetric: bool
) -> None:
    engine = quantised(network, inputs, quiet, left_alone=0, symmetric=symmetric)
    wanted, found = _answer(network, inputs), _answer(engine, inputs)
    noise = np.abs(wanted - found).mean()
    assert 0 < noise < 0.05 * wanted.std()
    assert np.abs((wanted - found).mean(axis=(0, 2, 3))).mean() < noise / 3


def test_a_clip_is_rounded_once_and_vanishes(
    network: onnx.ModelProto, inputs: NDArray[np.uint8], quiet: Reporter
) -> None:
    engine = quantised(network, inputs, quiet, left_alone=0, symmetric=False)
    assert [node.op_type for node in engine.graph.node].count("Clip") < 2


def test_what_is_left_alone_keeps_its_weights(
    network: onnx.ModelProto, inputs: NDArray[np.uint8], quiet: Reporter
) -> None:
    engine = quantised(network, inputs, quiet, left_alone=1, symmetric=False)
    kept = {tensor.name: numpy_helper.to_array(tensor) for tensor in engine.graph.initializer}
    assert kept["wa"].dtype == np.float32
    assert "wb" not in kept


def test_tensorrt_gets_signed_activations_around_zero_and_float_biases(
    network: onnx.ModelProto, inputs: NDArray[np.uint8], quiet: Reporter
) -> None:
    engine = quantised(network, inputs, quiet, left_alone=0, symmetric=True)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in engine.graph.initializer}
    zero_points = [values[node.input[2]] for node in engine.graph.node if node.op_type == "QuantizeLinear"]
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zero_points)
    assert values["bb"].dtype == np.float32


_DETECTOR = """
<ir_version: 8, opset_import: ["" : 17]>
detector (uint8[n,8,8,3] images) => (float[n,64,4] scores, float[n,64,4] boxes)
{
    pixels = Cast<to = 1>(images)
    first = Transpose<perm = [0, 3, 1, 2]>(pixels)
    a = Conv(first, wa, ba)
    at = Transpose<perm = [0, 2, 3, 1]>(a)
    ar = Reshape(at, rows)
    b = Conv(first, wb, bb)
    bt = Transpose<perm = [0, 2, 3, 1]>(b)
    br = Reshape(bt, rows)
    scores = Sigmoid(ar)
    boxes = Exp(br)
}
"""


def test_of_logits_the_range_that_matters_gets_all_steps(quiet: Reporter) -> None:
    """Pictures to calibrate with whose logits reach from -60 to -10: a sigmoid tells only the last of them from 0."""
    model = onnx.parser.parse_model(_DETECTOR)
    weights = np.tile(np.float32(50 / 255 / 3), (4, 3, 1, 1))
    constants = {"wa": weights, "wb": weights / 50, "rows": np.array([0, -1, 4])}
    constants |= {"ba": np.full(4, -60, np.float32), "bb": np.zeros(4, np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    calibration = np.random.default_rng(0).integers(0, 256, (16, 1, 1, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    engine = quantised(model, calibration, quiet, left_alone=0, symmetric=False)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in engine.graph.initializer}
    scales = {node.input[0]: values[node.input[1]] for node in engine.graph.node if node.op_type == "QuantizeLinear"}
    assert scales["a"] == pytest.approx(12 / 255)
    assert scales["b"] == pytest.approx(calibration.mean(axis=(1, 2, 3)).max() / 255 / 255, rel=0.01)
