"""Which image operations are chosen, and what is said of it."""

from types import SimpleNamespace

import pytest

from framelens_triton import operations
from framelens_triton.cuda import bindings
from framelens_triton.cuda.errors import CudaError, CudaUnavailable
from framelens_triton.operations import available_operations
from framelens_triton.recognition import CpuOperations


def test_without_a_driver_the_cpu_works_and_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "_DRIVER_LIBRARY", "libcuda-that-is-not-there.so.1")
    chosen, said = available_operations()
    assert isinstance(chosen, CpuOperations)
    assert said.startswith("image operations: CPU, because this machine has no NVIDIA driver (libcuda-that-is-not")
    chosen.close()


def test_without_cuda_python_the_cpu_works_and_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "_DRIVER_LIBRARY", "libc.so.6")
    monkeypatch.setattr(bindings, "find_spec", lambda _: None)
    chosen, said = available_operations()
    assert isinstance(chosen, CpuOperations)
    assert "cuda-python is not installed; run `pip install 'framelens-triton[gpu]'`" in said
    chosen.close()


def test_without_nvrtc_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise RuntimeError("no such library")

    monkeypatch.setattr(bindings, "_binding", lambda _: SimpleNamespace(nvrtcVersion=missing))
    bindings.nvrtc.cache_clear()
    with pytest.raises(CudaUnavailable, match="NVRTC is not installed; run `pip install"):
        bindings.nvrtc()


class Gpu:
    name = "GPU 1 (NVIDIA L4, compute capability 8.9)"


def test_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(operations, "gpu_operations", lambda ordinal: asked.append(ordinal) or Gpu())
    _, said = available_operations(1)
    assert asked == [1]
    assert said == f"image operations: {Gpu.name}, JPEGs by nvImageCodec"


def test_a_gpu_that_is_there_and_fails_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise CudaError("taking 16 bytes of the GPU's memory: CUDA_ERROR_OUT_OF_MEMORY (2)")

    monkeypatch.setattr(operations, "gpu_operations", broken)
    with pytest.raises(CudaError, match="OUT_OF_MEMORY"):
        available_operations()
    assert issubclass(CudaUnavailable, CudaError)
