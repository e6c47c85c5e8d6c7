"""INT8 engines by static quantisation: QDQ around convolutions, additions and their clips.

What rounding does to the mean of each output channel is put right in the bias, convolution by convolution in the order
of the graph, since each error shifts all that follows ("bias correction", Nagel et al. 2019, arXiv:1906.04721, 4.2).
"""

import contextlib
import copy
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import (
    CalibrationDataReader,
    CalibrationMethod,
    TensorData,
    TensorsData,
    create_calibrator,
)
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from framelens_engines.bars import steps_bar
from framelens_engines.progress import Reporter
from framelens_engines.tensors import IMAGES
from framelens_triton.onnx_session import onnx_session

# Clips are taken along so that they vanish: a convolution's output is then rounded once, in the range that is left.
_QUANTISED = ["Conv", "Add", "Clip", "Relu"]
_ACTIVATIONS = ("Clip", "Relu")
# From these to a sigmoid, a value moves and does not change.
_MOVING = ("Transpose", "Reshape", "Concat", "Split", "Slice", "Gather", "GatherND", "TopK", "ReduceMax", "Identity")
# Logits of scores .0025 and .9975. Calibration pictures would give a range that reaches to logits of -50, in steps of
# .05 in a score, and that ends where their own best object does.
_LOGITS = (-6.0, 6.0)
_DEQUANTISED = "_DequantizeLinear_Output"
_BATCH = 4
# Inputs that means are taken over; more of them change little and take their time at each convolution.
_BIAS_SAMPLE = 14
# A bias has 32 bits; a channel with hardly any weight has steps so small that its bias is more than all of them.
_MOST_STEPS = 2**31 - 1

Means = NDArray[np.float64]


def quantised(
    model: onnx.ModelProto, inputs: NDArray[np.uint8], reporter: Reporter, *, left_alone: int, symmetric: bool
) -> onnx.ModelProto:
    """The same network in INT8, calibrated on uint8 (N, height, width, 3).

    The first `left_alone` convolutions stay in FP32: what they round, everything inherits. `symmetric` gives what
    TensorRT takes: signed activations around zero, and biases that are not quantised. Without it, weights have 7 bits:
    CPUs without VNNI add two products of 8 bits in 16 and cut off what is too much, so that an engine of 8 bits finds
    other things there than where it was built (onnxruntime.ai, "Quantize ONNX models", on U8S8).
    """
    network = _Network(model, left_alone)
    engine = _with_qdq(network, _ranges(network, inputs), symmetric=symmetric)
    sample = inputs[:: max(1, len(inputs) // _BIAS_SAMPLE)]
    wanted = _channel_means(model, network, list(network.convolutions.values()), sample)
    with steps_bar(reporter, "quantising", len(network.convolutions)) as advance:
        for name, output in network.convolutions.items():
            (found,) = _channel_means(engine, network, [output], sample).values()
            _shift_bias(engine, name, wanted[output] - found)
            advance()
    return engine


class _Network:
    """What of a graph is quantised: its convolutions with their clips, and additions between their outputs."""

    def __init__(self, model: onnx.ModelProto, left_alone: int) -> None:
        self.model = model
        self._producers = {output: node for node in model.graph.node for output in node.output}
        self._consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for value in node.input:
                self._consumers.setdefault(value, []).append(node)
        # By name, in the order of the graph: the output that follows each convolution's clip.
        self.convolutions = {
            node.name: self._clipped(node.output[0]) for node in model.graph.node if node.op_type == "Conv"
        }
        self.logits = [node.output[0] for node in model.graph.node if node.op_type == "Conv" and self._scores(node)]
        additions = (node for node in model.graph.node if node.op_type == "Add")
        first = list(self.convolutions)[:left_alone]
        self.left_alone = first + [node.name for node in additions if not self._adds_maps(node)]

    def _clipped(self, output: str) -> str:
        consumers = self._consumers.get(output, [])
        return consumers[0].output[0] if len(consumers) == 1 and consumers[0].op_type in _ACTIVATIONS else output

    def _scores(self, convolution: onnx.NodeProto) -> bool:
        """Whether its output goes into a sigmoid, and is used for nothing else but the choice of the best."""
        moved, ends = [convolution.output[0]], set()
        while moved:
            value = moved.pop()
            for consumer in self._consumers.get(value, ()):
                if consumer.op_type == "Concat" or (consumer.op_type in _MOVING and consumer.input[0] == value):
                    # Of the outputs of TopK the second are indices.
                    moved += consumer.output[:1] if consumer.op_type == "TopK" else consumer.output
                else:
                    ends.add(consumer.op_type)
        return "Sigmoid" in ends and ends <= {"Sigmoid", "ArgMax"}

    def _adds_maps(self, node: onnx.NodeProto) -> bool:
        """Box decoding adds too, and must not be rounded."""
        producers = [self._producers.get(value) for value in node.input]
        return all(producer is not None and producer.op_type in _QUANTISED for producer in producers)


def _with_qdq(network: _Network, ranges: TensorsData, *, symmetric: bool) -> onnx.ModelProto:
    nodes = [node.name for node in network.model.graph.node if node.op_type in _QUANTISED]
    quantiser = QDQQuantizer(
        copy.deepcopy(network.model),
        per_channel=True,
        reduce_range=not symmetric,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=nodes,
        nodes_to_exclude=network.left_alone,
        op_types_to_quantize=_QUANTISED,
        extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True, "QuantizeBias": not symmetric},
    )
    with _without_advice():
        engine: onnx.ModelProto = quantiser.quantize_model()
    return engine


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """onnxruntime.quantization gives its advice on the root logger, as warnings."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)


class _Inputs(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: NDArray[np.uint8]) -> None:
        self._left = iter(inputs)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        picture = next(self._left, None)
        return None if picture is None else {IMAGES: picture[None]}


def _ranges(network: _Network, inputs: NDArray[np.uint8]) -> TensorsData:
    """The smallest and the largest value that each activation takes, and of logits those that matter."""
    with tempfile.TemporaryDirectory(prefix="framelens-int8-") as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(network.model, path)
        calibrator = create_calibrator(path, _QUANTISED, str(Path(folder) / "augmented.onnx"), CalibrationMethod.MinMax)
        calibrator.collect_data(_Inputs(inputs))
        ranges = calibrator.compute_data()
    for name in network.logits:
        lowest, highest = (np.array(limit, np.float32) for limit in _LOGITS)
        ranges[name] = TensorData(lowest=lowest, highest=highest)
    return ranges


def _channel_means(
    model: onnx.ModelProto, network: "_Network", outputs: Sequence[str], inputs: NDArray[np.uint8]
) -> dict[str, Means]:
    """Of convolutions' outputs (N, C, H, W), as what follows them sees them; of logits, as far as they matter."""
    there = {value for node in model.graph.node for value in node.output}
    seen = [output + _DEQUANTISED if output + _DEQUANTISED in there else output for output in outputs]
    probe = _up_to(model, seen)
    session = onnx_session(probe.SerializeToString(), threads=0, as_written=True)
    limits = [_LOGITS if output in network.logits else (-np.inf, np.inf) for output in outputs]
    sums = [
        [
            values.clip(*limit).mean(axis=(2, 3)).sum(axis=0)
            for values, limit in zip(session.run(seen, {IMAGES: inputs[at : at + _BATCH]}), limits, strict=True)
        ]
        for at in range(0, len(inputs), _BATCH)
    ]
    return {
        name: np.sum(parts, axis=0) / len(inputs) for name, parts in zip(outputs, zip(*sums, strict=True), strict=True)
    }


def _up_to(model: onnx.ModelProto, values: Sequence[str]) -> onnx.ModelProto:
    """The part of a model that gives these values: what follows them would be computed too."""
    producers = {output: node for node in model.graph.node for output in node.output}
    needed, new = set[str](), list(values)
    while new:
        value = new.pop()
        if value not in needed:
            needed.add(value)
            new += producers[value].input if value in producers else ()
    nodes = [node for node in model.graph.node if needed.intersection(node.output)]
    outputs = [onnx.helper.make_empty_tensor_value_info(value) for value in values]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    graph = onnx.helper.make_graph(nodes, model.graph.name, model.graph.input, outputs, weights)
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _shift_bias(engine: onnx.ModelProto, name: str, shift: Means) -> None:
    """Adds to a convolution's bias; where that is quantised, as many steps of its scale."""
    tensors = {tensor.name: tensor for tensor in engine.graph.initializer}
    producers = {output: node for node in engine.graph.node for output in node.output}
    convolution = next(node for node in engine.graph.node if node.name == name)
    if len(convolution.input) < 3:  # Without a bias there is nothing to put right in.
        return
    dequantise = producers.get(convolution.input[2])
    bias = tensors[convolution.input[2] if dequantise is None else dequantise.input[0]]
    scale = np.ones(1) if dequantise is None else numpy_helper.to_array(tensors[dequantise.input[1]])
    values = numpy_helper.to_array(bias)
    # A channel whose weights are all zero has scale zero.
    steps = np.divide(shift, scale, out=np.zeros_like(shift), where=scale > 0)
    moved = values + steps if dequantise is None else (values + steps).round().clip(-_MOST_STEPS, _MOST_STEPS)
    bias.CopyFrom(numpy_helper.from_array(moved.astype(values.dtype), bias.name))
