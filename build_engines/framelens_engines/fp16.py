"""FP16 engines: weights and arithmetic in half precision, but for what needs more."""

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

# Box decoding and the L2 norm lose too much: a half has 11 bits, a coordinate in 0..1 of a 4K frame needs 12.
_KEPT = ("Exp", "ReduceL2", "Div", "Max", "Split", "Concat", "Clip", "Sub", "TopK", "ReduceMax", "ArgMax", "Sigmoid")


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in FP16; inputs and outputs keep their types."""
    # The converter writes into what it is given.
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    engine: onnx.ModelProto = convert_float_to_float16(
        copied, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *_KEPT]
    )
    return engine
