"""A convolution before it is written: scale and shift that follow it are folded into its weights in float64."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from framelens_engines.onnx_graph import GraphBuilder


@dataclass(frozen=True)
class Feature:
    """An NCHW tensor of the graph under construction; the batch is dynamic."""

    name: str
    channels: int
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class Convolution:
    """A 2-d convolution with TensorFlow's SAME padding: weights (out, in / groups, height, width)."""

    source: Feature
    weights: NDArray[np.float64]
    strides: tuple[int, int] = (1, 1)
    groups: int = 1
    bias: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))

    def scaled(self, factor: NDArray[np.float64]) -> "Convolution":
        """Followed by a multiplication by channel."""
        return replace(self, weights=self.weights * factor.reshape(-1, 1, 1, 1), bias=self.bias * factor)

    def shifted(self, offset: NDArray[np.float64]) -> "Convolution":
        """Followed by an addition by channel."""
        return replace(self, bias=self.bias + offset)

    def normalised(
        self,
        gamma: NDArray[np.float64],
        beta: NDArray[np.float64],
        mean: NDArray[np.float64],
        variance: NDArray[np.float64],
        epsilon: float,
    ) -> "Convolution":
        """Followed by a batch normalisation in inference mode."""
        factor = gamma / np.sqrt(variance + epsilon)
        return self.scaled(factor).shifted(beta - mean * factor)

    def write(self, builder: GraphBuilder) -> Feature:
        channels, _, *kernel = self.weights.shape
        height, top, bottom = _same(self.source.height, kernel[0], self.strides[0])
        width, left, right = _same(self.source.width, kernel[1], self.strides[1])
        name = builder.node(
            "Conv",
            self.source.name,
            builder.constant(self.weights),
            builder.constant(np.broadcast_to(self.bias, (channels,))),
            kernel_shape=kernel,
            strides=list(self.strides),
            pads=[top, left, bottom, right],
            group=self.groups,
        )
        return Feature(name, channels, height, width)


def relu6(builder: GraphBuilder, feature: Feature) -> Feature:
    return replace(feature, name=builder.node("Clip", feature.name, builder.floats(0.0), builder.floats(6.0)))


def add(builder: GraphBuilder, left: Feature, right: Feature) -> Feature:
    return replace(left, name=builder.node("Add", left.name, right.name))


def _same(size: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """Output size, padding before and after: TensorFlow puts the odd pixel at the end."""
    output = -(-size // stride)
    padding = max((output - 1) * stride + kernel - size, 0)
    return output, padding // 2, padding - padding // 2
