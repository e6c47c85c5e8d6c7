"""Frees a network that was exported for a batch of one: exporters write the 1 into ports and into Reshape's shapes."""

from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper


def free_batch(model: onnx.ModelProto) -> None:
    """Makes the first dimension of the ports, and of every reshape of what depends on the input, dynamic; in place.

    It is an attempt: whether the network still computes the same must be seen by running it.
    """
    graph = model.graph
    del graph.value_info[:]
    # Older exporters list weights among the inputs too.
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [port for port in graph.input if port.name not in weights]
    for port in [*inputs, *graph.output]:
        if port.type.tensor_type.shape.dim:
            port.type.tensor_type.shape.dim[0].dim_param = "batch"
    constants = _constants(graph)
    depends = {port.name for port in inputs}
    for index, node in enumerate(graph.node):
        if not depends.intersection(node.input):
            continue
        depends.update(node.output)
        shape = constants.get(node.input[1]) if node.op_type == "Reshape" and node.input[0] in depends else None
        if shape is not None and shape.size > 1 and shape[0] == 1:
            freed = shape.copy()
            # 0 keeps the data's own first dimension, -1 computes it; -1 may stand only once.
            freed[0] = 0 if -1 in shape else -1
            name = f"{node.input[1]}_of_{index}_with_batch"
            graph.initializer.append(numpy_helper.from_array(freed, name))
            node.input[1] = name


def _constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    constants = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.INT64
    }
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return constants
