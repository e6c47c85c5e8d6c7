"""Writes ONNX graphs node by node, in float32, with operators that ONNX Runtime and TensorRT both take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# 17 is what ONNX Runtime 1.16 and TensorRT 8.6 read in full; IR 8 goes with it.
OPSET = 17
IR_VERSION = 8
# From 18 on, Reduce* take their axes as an input.
_AXES_ARE_INPUTS = 18


@dataclass(frozen=True)
class Port:
    """A graph's input or output: name, ONNX element type, shape with `None` for the batch."""

    name: str
    dtype: int
    shape: tuple[int | None, ...]

    def value_info(self) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(
            self.name, self.dtype, ["batch" if size is None else size for size in self.shape]
        )


class GraphBuilder:
    """Collects nodes and constants; `prefix` keeps its names apart from those of a graph it is added to."""

    def __init__(self, opset: int = OPSET, prefix: str = "") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._opset = opset
        self._prefix = prefix
        self._count = 0

    def constant(self, value: NDArray[Any]) -> str:
        """Floats of any width become float32; the name of the constant."""
        array = value.astype(np.float32) if value.dtype.kind == "f" else value
        name = self._fresh("constant")
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def floats(self, *values: float) -> str:
        """A scalar if there is one value, otherwise a vector."""
        return self.constant(np.array(values[0] if len(values) == 1 else values, dtype=np.float64))

    def node(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:  # noqa: ANN401
        """Adds an operator with one output; that output's name (`output`, if given)."""
        return self.multi_node(op, *inputs, outputs=[output or self._fresh(op)], **attributes)[0]

    def multi_node(self, op: str, *inputs: str, outputs: Sequence[str] | int, **attributes: Any) -> list[str]:  # noqa: ANN401
        """Adds an operator with several outputs, named or counted."""
        names = [self._fresh(op) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self.nodes.append(helper.make_node(op, list(inputs), names, name=self._fresh(f"{op}_node"), **attributes))
        return names

    def reduce(self, op: str, value: str, axis: int, *, keepdims: bool) -> str:
        if self._opset >= _AXES_ARE_INPUTS:
            return self.node(op, value, self.integers(axis), keepdims=int(keepdims))
        return self.node(op, value, axes=[axis], keepdims=int(keepdims))

    def model(self, name: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> onnx.ModelProto:
        """The finished, checked model."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [port.value_info() for port in inputs],
            [port.value_info() for port in outputs],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)], ir_version=IR_VERSION)
        model.producer_name = "framelens_engines"
        onnx.checker.check_model(model)
        return model

    def _fresh(self, hint: str) -> str:
        self._count += 1
        return f"{self._prefix}{hint}_{self._count}"


FLOAT, UINT8, INT32 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT32
