"""layers.json, beside a plan: the layers of its network, with the types that they compute in."""

from collections import Counter
from typing import Any

from pydantic import BaseModel, JsonValue

LAYERS_JSON = "layers.json"
_DEQUANTIZE = "DEQUANTIZE"
_PRODUCTS = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY")


class Tensor(BaseModel):
    """A value between layers; sizes that the batch decides are -1."""

    name: str
    type: str
    shape: list[int]


class Layer(BaseModel):
    """A layer of a strongly typed network: it computes in the types that it takes."""

    name: str
    type: str
    inputs: list[Tensor]
    outputs: list[Tensor]


class LayerReport(BaseModel):
    """`network` is what TensorRT was given, `engine` what its inspector says of what it made of it, where it can."""

    builder: str
    network: list[Layer]
    engine: JsonValue

    def computed_in(self) -> dict[str, int]:
        """How many convolutions and matrix products compute in each type, most first.

        TensorRT fuses one that takes dequantised values with that, and computes in the type that they had.
        """
        quantised = {layer.outputs[0].name: layer.inputs[0] for layer in self.network if layer.type == _DEQUANTIZE}
        taken = [layer.inputs[0] for layer in self.network if layer.type in _PRODUCTS]
        return dict(Counter(quantised.get(tensor.name, tensor).type for tensor in taken).most_common())


def network_layers(network: Any) -> list[Layer]:  # noqa: ANN401
    """Of an INetworkDefinition, in its order."""
    return [_layer(network.get_layer(index)) for index in range(network.num_layers)]


def _layer(layer: Any) -> Layer:  # noqa: ANN401
    inputs = [layer.get_input(index) for index in range(layer.num_inputs)]
    outputs = [layer.get_output(index) for index in range(layer.num_outputs)]
    # An optional input that is left out is None.
    given = [_tensor(tensor) for tensor in inputs if tensor is not None]
    return Layer(name=layer.name, type=layer.type.name, inputs=given, outputs=[_tensor(tensor) for tensor in outputs])


def _tensor(tensor: Any) -> Tensor:  # noqa: ANN401
    return Tensor(name=tensor.name, type=tensor.dtype.name, shape=list(tensor.shape))
