"""Floors by hand."""

import pytest

from framelens_perf.gpu_check.floors import (
    Arithmetic,
    Floor,
    Network,
    Peaks,
    Work,
    decode_work,
    engine_work,
    floor,
    resize_work,
    together,
)

PEAKS = Peaks(1e9, {Arithmetic.FP16: 1e12, Arithmetic.LANES: 1e11})


def test_the_longer_of_moving_and_computing_is_the_floor() -> None:
    assert floor(Work(1e6, 2e9, Arithmetic.FP16), PEAKS) == Floor(2.0, "operations")
    assert floor(Work(3e6, 2e9, Arithmetic.FP16), PEAKS) == Floor(3.0, "bytes")


def test_without_a_peak_of_its_arithmetic_only_bytes_count() -> None:
    assert floor(Work(1e6, 1e15, Arithmetic.INT8), PEAKS) == Floor(1.0, "bytes")


@pytest.mark.parametrize(("arithmetic", "size"), [("fp32", 4), ("fp16", 2), ("int8", 1)])
def test_weights_are_read_once_for_a_batch(arithmetic: str, size: int) -> None:
    work = engine_work(Network(1000, 50, 300, 20), 8, Arithmetic(arithmetic))
    assert work == Work(50 * size + 8 * 320, 16_000, Arithmetic(arithmetic))


def test_a_reduction_reads_every_pixel_of_its_source() -> None:
    # Halved: 4 taps each way; first 50 columns of 100 rows, then 50 x 50, in 3 channels, 2 operations a tap.
    assert resize_work((100, 100), (50, 50)) == Work((100 * 100 + 50 * 50) * 3, 6 * (50 * 100 * 4 + 50 * 50 * 4))


def test_an_enlargement_has_two_taps() -> None:
    assert resize_work((10, 10), (20, 20)).operations == 6 * (20 * 10 * 2 + 20 * 20 * 2)


def test_the_cheaper_order_of_passes_counts() -> None:
    assert resize_work((10, 1000), (10, 10)).operations == resize_work((1000, 10), (10, 10)).operations


def test_decoding_reads_the_file_and_writes_rgb() -> None:
    assert decode_work(5000, (20, 10)) == Work(5000 + 600, 0.0)


def test_work_of_a_batch_adds_up() -> None:
    assert together([Work(1, 2, Arithmetic.FP16), Work(3, 4, Arithmetic.FP16)]) == Work(4, 6, Arithmetic.FP16)
