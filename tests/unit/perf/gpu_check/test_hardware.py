"""Peaks of a GPU, and what is said where there is none."""

import pytest

from framelens_perf.gpu_check.failures import GpuMissing
from framelens_perf.gpu_check.floors import Arithmetic
from framelens_perf.gpu_check.hardware import _PER_CLOCK, Hardware, opened
from framelens_triton.cuda import bindings


def card(capability: tuple[int, int], memory_clock_hz: float = 1e9) -> Hardware:
    return Hardware("Card", "0000:01:00.0", capability, 13000, 2**34, 100, 1e9, memory_clock_hz, 256)


def test_declared_bandwidth_is_two_transfers_a_clock() -> None:
    assert card((8, 9)).declared_bytes_per_s == 64e9


def test_a_copy_that_is_faster_than_declared_is_the_peak() -> None:
    assert card((8, 9)).peaks(70e9).bytes_per_s == 70e9
    assert card((8, 9)).peaks(50e9).bytes_per_s == 64e9
    assert card((8, 9), memory_clock_hz=0).peaks(50e9).bytes_per_s == 50e9


# Capability, multiprocessors, and GHz; then tera-operations/s of lanes at that clock; then GHz of the tensor cores, and
# their dense TF32, FP16 and INT8.
# Tesla T4: TU104, 8.1, 65, 130 (sysrqmts.com/en/gpus/nvidia/tesla/t4; archive-lib.hpctech.co.jp/gpuproduct/tesla-t4).
# A100, A40: hmc-tech.com/gpu/nvidia-a100-vs-nvidia-a40. L40S: hmc-tech.com/gpu/nvidia-l40s-vs-nvidia-t40, and its data
# sheet, www.mullet.se/product.html?product_id=355414. H100 SXM5: glennklockwood.com/garden/processors/h100, after
# NVIDIA's white paper. B200: hmc-tech.com/gpus/nvidia-b200-vs-nvidia-b100. RTX PRO 6000 Blackwell:
# hmc-tech.com/gpu/nvidia-rtx-pro-6000-blackwell-vs-amd-radeon-pro-duo-polaris.
CARDS = {
    "Tesla T4": ((7, 5), 40, 1.59, 8.1, 1.59, (8.1, 65, 130)),
    "A100": ((8, 0), 108, 1.41, 19.5, 1.41, (156, 312, 624)),
    "A40": ((8, 6), 84, 1.74, 37.4, 1.74, (74.8, 149.7, 299.3)),
    "L40S": ((8, 9), 142, 2.52, 91.6, 2.52, (183, 366, 733)),
    "H100 SXM5": ((9, 0), 132, 1.98, 66.9, 1.83, (494.7, 989.4, 1978.9)),
    "B200": ((10, 0), 148, 1.98, 75.0, 1.86, (1130, 2250, 4500)),
    "RTX PRO 6000 Blackwell": ((12, 0), 188, 2.617, 125.95, 2.617, (251.9, 503.8, 1010)),
}


@pytest.mark.parametrize("name", CARDS)
def test_peaks_are_those_of_the_data_sheets(name: str) -> None:
    capability, multiprocessors, clock, lanes, tensor_clock, tensor = CARDS[name]

    def tera(ghz: float) -> list[float]:
        found = Hardware(name, "", capability, 13000, 0, multiprocessors, ghz * 1e9, 0, 0).peaks(1)
        return [found.operations_per_s[kind] / 1e12 for kind in Arithmetic]

    assert tera(clock)[0] == pytest.approx(lanes, rel=0.01)
    assert tera(tensor_clock)[1:] == pytest.approx(list(tensor), rel=0.01)


def test_there_is_a_card_for_every_capability_that_has_peaks() -> None:
    assert {capability for capability, *_ in CARDS.values()} == set(_PER_CLOCK)


def test_peaks_grow_with_multiprocessors_and_clock() -> None:
    assert card((9, 0)).peaks(1).operations_per_s[Arithmetic.FP16] == 4096 * 100 * 1e9


def test_a_capability_that_is_not_known_has_no_peak() -> None:
    assert card((99, 0)).peaks(1).operations_per_s == {}


def test_a_machine_without_a_driver_is_told_what_is_missing_and_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "_DRIVER_LIBRARY", "libcuda-that-is-not-there.so.1")
    bindings.driver.cache_clear()
    with pytest.raises(GpuMissing, match="no NVIDIA driver .*nothing was measured.*driver of CUDA 13.*make gpu-check"):
        opened(0)
