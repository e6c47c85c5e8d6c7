"""EfficientNet-Lite 0, 1 and 2 as embedder engines: the pooled 1280-d feature, L2-normalised.

Architecture: tensorflow/tpu, models/official/efficientnet/lite (no squeeze-and-excite, ReLU6, stem, head and the first
and last stage not scaled). Names of the tensors: lukemelas/EfficientNet-PyTorch.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from framelens_engines import contract
from framelens_engines.convolution import Convolution, Feature, add, relu6
from framelens_engines.errors import ConversionError
from framelens_engines.onnx_graph import GraphBuilder
from framelens_engines.torch_legacy import read_tensors

DIMENSION = 1280
# batch_norm_epsilon, MEAN_RGB and STDDEV_RGB of efficientnet_lite_builder.py.
_EPSILON = 1e-3
NORMALISATION = contract.Normalisation((127.0,) * 3, (128.0,) * 3)
_CLASSIFIER = ("_fc.weight", "_fc.bias")


@dataclass(frozen=True)
class Variant:
    """One row of efficientnet_lite_params: width and depth coefficients, resolution."""

    name: str
    width: float
    depth: float
    input_size: int


LITE0 = Variant("lite0", 1.0, 1.0, 224)
LITE1 = Variant("lite1", 1.0, 1.1, 240)
LITE2 = Variant("lite2", 1.1, 1.2, 260)


@dataclass(frozen=True)
class _Stage:
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


# _DEFAULT_BLOCKS_ARGS of efficientnet_builder.py.
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def convert(checkpoint: bytes, variant: Variant, build: int) -> onnx.ModelProto:
    """The embedder engine; raises ConversionError if `checkpoint` is another network."""
    builder = GraphBuilder()
    contract.write_embedding(builder, write_feature(builder, read_tensors(checkpoint), variant))
    contract.write_build(builder, build)
    size = variant.input_size
    return builder.model("embedder", [contract.images_port(size, size)], contract.embedder_ports(DIMENSION))


def write_feature(builder: GraphBuilder, tensors: dict[str, NDArray[Any]], variant: Variant) -> str:
    """Everything from `images` to the pooled feature (N, 1280), not yet normalised."""
    weights = _Weights(tensors)
    picture = contract.write_normalised(builder, NORMALISATION)
    feature = Feature(picture, 3, variant.input_size, variant.input_size)
    feature = relu6(builder, weights.convolution(feature, "_conv_stem", "_bn0", 2).write(builder))
    block = 0
    for index, stage in enumerate(_STAGES):
        for repeat in range(_repeats(variant, index)):
            stride = stage.stride if repeat == 0 else 1
            feature = _write_block(builder, weights, f"_blocks.{block}.", feature, stage, stride)
            block += 1
        _expect_channels(feature, _channels(variant, index), f"stage {index} of {variant.name}")
    feature = relu6(builder, weights.convolution(feature, "_conv_head", "_bn1", 1).write(builder))
    _expect_channels(feature, DIMENSION, "the head")
    weights.expect_all_used(variant)
    return builder.node("Flatten", builder.node("GlobalAveragePool", feature.name), axis=1)


class _Weights:
    """Convolutions with their batch norms, taken from the checkpoint; remembers what was not taken."""

    def __init__(self, tensors: dict[str, NDArray[Any]]) -> None:
        self._tensors = tensors
        self._unused = {name for name in tensors if not name.endswith("num_batches_tracked")} - set(_CLASSIFIER)

    def convolution(self, source: Feature, name: str, norm: str, stride: int, kernel: int | None = None) -> Convolution:
        weights = self._take(f"{name}.weight")
        groups = source.channels // weights.shape[1]
        if weights.ndim != 4 or groups * weights.shape[1] != source.channels or kernel not in (None, weights.shape[2]):
            raise ConversionError(f"{name} has weights {weights.shape} on {source.channels} channels, kernel {kernel}")
        gamma, beta = self._take(f"{norm}.weight"), self._take(f"{norm}.bias")
        mean, variance = self._take(f"{norm}.running_mean"), self._take(f"{norm}.running_var")
        return Convolution(source, weights, (stride, stride), groups).normalised(gamma, beta, mean, variance, _EPSILON)

    def expect_all_used(self, variant: Variant) -> None:
        if self._unused:
            raise ConversionError(
                f"the checkpoint has {len(self._unused)} tensors that EfficientNet-{variant.name} lacks, such as"
                f" {min(self._unused)}"
            )

    def _take(self, name: str) -> NDArray[np.float64]:
        if name not in self._tensors:
            raise ConversionError(f"the checkpoint has no tensor {name}; is it this EfficientNet-Lite?")
        self._unused.discard(name)
        return self._tensors[name].astype(np.float64)


def _write_block(
    builder: GraphBuilder, weights: _Weights, prefix: str, source: Feature, stage: _Stage, stride: int
) -> Feature:
    """An inverted residual: expand, depthwise, project; added to its input where shapes allow."""
    feature = source
    if stage.expansion != 1:
        expand = weights.convolution(feature, f"{prefix}_expand_conv", f"{prefix}_bn0", 1, kernel=1)
        feature = relu6(builder, expand.write(builder))
    depthwise = weights.convolution(feature, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride, kernel=stage.kernel)
    feature = relu6(builder, depthwise.write(builder))
    feature = weights.convolution(feature, f"{prefix}_project_conv", f"{prefix}_bn2", 1, kernel=1).write(builder)
    return add(builder, feature, source) if stride == 1 and feature.channels == source.channels else feature


def _repeats(variant: Variant, stage: int) -> int:
    repeats = _STAGES[stage].repeats
    return repeats if stage in (0, len(_STAGES) - 1) else math.ceil(variant.depth * repeats)


def _channels(variant: Variant, stage: int) -> int:
    """round_filters of efficientnet_model.py: to a multiple of 8, and never more than 10 % down."""
    wanted = _STAGES[stage].channels * variant.width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _expect_channels(feature: Feature, channels: int, where: str) -> None:
    if feature.channels != channels:
        raise ConversionError(f"{where} has {feature.channels} channels; expected {channels}")
