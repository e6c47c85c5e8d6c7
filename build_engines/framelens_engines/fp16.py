"""FP16 engines: weights and arithmetic in half precision, but for what needs more."""

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

# Box decoding and the L2 norm lose too much: a half has 11 bits, a coordinate in 0..1 of a 4K frame needs 12.
_KEPT = ("Exp", "ReduceL2", "Div", "Max", "Split", "Concat", "Clip", "Sub", "TopK", "ReduceMax", "ArgMax", "Sigmoid")
# A clip after one of these is an activation and goes with it: two casts between them would keep TensorRT from fusing.
_ACTIVATED = ("Conv", "BatchNormalization")


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in FP16; inputs and outputs keep their types."""
    # The converter writes into what it is given.
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    makers = {output: node.op_type for node in copied.graph.node for output in node.output}
    kept = []
    for node in copied.graph.node:
        node.name = node.name or node.output[0]  # The converter knows by name which to keep.
        activation = node.op_type == "Clip" and makers.get(node.input[0]) in _ACTIVATED
        if node.op_type in _KEPT and not activation:
            kept.append(node.name)
    engine: onnx.ModelProto = convert_float_to_float16(copied, keep_io_types=True, node_block_list=kept)
    return engine
