"""Peaks of a GPU, and what is said where there is none."""

import pytest

from framelens_perf.gpu_check.failures import GpuMissing
from framelens_perf.gpu_check.floors import Arithmetic
from framelens_perf.gpu_check.hardware import Hardware, opened
from framelens_triton.cuda import bindings


def card(capability: tuple[int, int], memory_clock_hz: float = 1e9) -> Hardware:
    return Hardware("Card", "0000:01:00.0", capability, 13000, 2**34, 100, 1e9, memory_clock_hz, 256)


def test_declared_bandwidth_is_two_transfers_a_clock() -> None:
    assert card((8, 9)).declared_bytes_per_s == 64e9


def test_a_copy_that_is_faster_than_declared_is_the_peak() -> None:
    assert card((8, 9)).peaks(70e9).bytes_per_s == 70e9
    assert card((8, 9)).peaks(50e9).bytes_per_s == 64e9
    assert card((8, 9), memory_clock_hz=0).peaks(50e9).bytes_per_s == 50e9


def test_peaks_grow_with_multiprocessors_and_clock() -> None:
    assert card((9, 0)).peaks(1).operations_per_s[Arithmetic.FP16] == 4096 * 100 * 1e9


def test_a_capability_that_is_not_known_has_no_peak() -> None:
    assert card((99, 0)).peaks(1).operations_per_s == {}


def test_a_machine_without_a_driver_is_told_what_is_missing_and_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "_DRIVER_LIBRARY", "libcuda-that-is-not-there.so.1")
    bindings.driver.cache_clear()
    with pytest.raises(GpuMissing, match="no NVIDIA driver .*nothing was measured.*driver of CUDA 13.*make gpu-check"):
        opened(0)
