"""What is written of the default networks, counted again in the engines that `make engines` builds."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest

from framelens_perf.gpu_check.engines import fp32_engine
from framelens_perf.gpu_check.floors import NETWORKS, Network

REPOSITORY = Path(__file__).parents[4] / "model_repository"


def counted(path: Path) -> Network:
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    values = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}

    def row(name: str) -> list[int]:
        return [dimension.dim_value for dimension in values[name].type.tensor_type.shape.dim][1:]

    def row_bytes(name: str) -> int:
        kind = onnx.helper.tensor_dtype_to_np_dtype(values[name].type.tensor_type.elem_type)
        return math.prod(row(name)) * np.dtype(kind).itemsize

    weights = {each.name: math.prod(each.dims) for each in graph.initializer}
    assert not {node.op_type for node in graph.node} & {"MatMul", "Gemm", "ConvTranspose"}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    return Network(
        sum(weights[node.input[1]] * math.prod(row(node.output[0])[1:]) for node in convolutions),
        sum(weights[node.input[1]] for node in convolutions),
        sum(row_bytes(value.name) for value in graph.input),
        sum(row_bytes(value.name) for value in graph.output),
    )


@pytest.mark.parametrize("model", sorted(NETWORKS))
def test_networks_are_what_is_built(model: str) -> None:
    assert NETWORKS[model] == counted(fp32_engine(REPOSITORY / model).path)
