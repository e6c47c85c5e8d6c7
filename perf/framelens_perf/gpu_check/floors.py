"""The least time that a stage can take on a GPU: its bytes at memory's peak, its operations at that of arithmetic."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Arithmetic(StrEnum):
    """What multiplies: by FP32 (and integer) lanes, or by tensor cores of FP32 (as TF32), FP16 and INT8."""

    LANES = "lanes"
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True)
class Peaks:
    """Of one GPU; no entry for arithmetic whose peak is not known."""

    bytes_per_s: float
    operations_per_s: dict[Arithmetic, float]


@dataclass(frozen=True)
class Work:
    """What cannot be left out: each byte moved once, and a multiplication and an addition counted as two operations."""

    bytes: float
    operations: float = 0.0
    arithmetic: Arithmetic = Arithmetic.LANES


@dataclass(frozen=True)
class Floor:
    ms: float
    # bytes or operations: the longer of the two, which may overlap.
    by: str


@dataclass(frozen=True)
class Network:
    """Of one picture: multiply-adds of convolutions, and the bytes of input and outputs; and its weights."""

    multiply_adds: int
    weights: int
    input_bytes: int
    output_bytes: int


# Counted in the FP32 engines that `make engines` builds; tests/unit/perf/gpu_check/test_networks.py counts again.
NETWORKS = {
    "detector": Network(1_861_661_744, 16_648_832, 300 * 300 * 3, 100 * (4 + 1 + 1) * 4 + 4),
    "embedder_effnet_lite0": Network(383_907_552, 3_328_992, 224 * 224 * 3, 1280 * 4 + 4),
}
_WEIGHT_BYTES = {Arithmetic.FP32: 4, Arithmetic.FP16: 2, Arithmetic.INT8: 1}


def floor(work: Work, peaks: Peaks) -> Floor:
    """By bytes alone where the peak of the arithmetic is not known."""
    moved_ms = work.bytes / peaks.bytes_per_s * 1e3
    peak = peaks.operations_per_s.get(work.arithmetic)
    computed_ms = work.operations / peak * 1e3 if peak else 0.0
    return Floor(computed_ms, "operations") if computed_ms > moved_ms else Floor(moved_ms, "bytes")


def engine_work(network: Network, rows: int, arithmetic: Arithmetic) -> Work:
    """Activations are not counted: a builder may keep them from leaving the chip."""
    weights = network.weights * _WEIGHT_BYTES[arithmetic]
    moved = weights + rows * (network.input_bytes + network.output_bytes)
    return Work(moved, 2 * network.multiply_adds * rows, arithmetic)


def resize_work(source: tuple[float, float], target: tuple[int, int]) -> Work:
    """One part of a picture, width and height in pixels, by a bilinear filter as wide as the reduction."""
    (width, height), (columns, rows) = source, target
    across, down = (2 * max(1.0, size / count) for size, count in ((width, columns), (height, rows)))
    # Of two passes over three channels, in the order that takes less.
    columns_first = columns * height * across + columns * rows * down
    rows_first = width * rows * down + columns * rows * across
    moved = (math.floor(width) * math.floor(height) + columns * rows) * 3
    return Work(moved, 2 * 3 * min(columns_first, rows_first))


def decode_work(jpeg_bytes: int, size: tuple[int, int]) -> Work:
    """The file read and RGB written; entropy decoding has no operations that a peak could be divided by."""
    return Work(jpeg_bytes + size[0] * size[1] * 3)


def together(parts: list[Work]) -> Work:
    """Of one kind of arithmetic, in one go."""
    return Work(sum(part.bytes for part in parts), sum(part.operations for part in parts), parts[0].arithmetic)
