"""The kernels compile for every GPU that is served, by NVRTC, which needs none."""

import re

import pytest

from framelens_triton.cuda.errors import CudaError, CudaUnavailable
from framelens_triton.cuda.kernels import Kernels, compiled
from framelens_triton.images.gpu_resize import SOURCE, source

KERNELS = ("filter_weights", "resize", "reduce_upright")


def test_to_ptx_with_every_kernel_and_no_merged_rounding() -> None:
    ptx = compiled(source(), SOURCE.name, "compute_75").decode()
    assert re.findall(r"\.entry (\w+)\(", ptx) == list(KERNELS)
    # A product and a sum with one rounding would make other weights than a CPU does.
    assert not re.search(r"fma\.rn\.f(32|64)", _without_divisions(ptx))


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"])
def test_to_machine_code(architecture: str) -> None:
    assert compiled(source(), SOURCE.name, architecture).startswith(b"\x7fELF")


def test_what_does_not_compile_is_told_with_the_compilers_words() -> None:
    with pytest.raises(CudaError, match=r'(?s)compiling broken\.cu for sm_90: NVRTC_ERROR.*identifier "nothing"'):
        compiled('extern "C" __global__ void broken(int *x) { *x = nothing; }', "broken.cu", "sm_90")


@pytest.mark.usefixtures("driver")
def test_a_gpu_that_nvrtc_does_not_know_is_as_good_as_none() -> None:
    with pytest.raises(CudaUnavailable, match=r"compute capability 6\.0, and NVRTC here compiles for 7\.5, 8\.0"):
        Kernels(source(), SOURCE.name, (6, 0))


def _without_divisions(ptx: str) -> str:
    return "\n".join(line for line in ptx.splitlines() if "div." not in line)
