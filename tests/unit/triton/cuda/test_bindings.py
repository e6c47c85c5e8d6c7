"""The driver that other tests put in cuda-python's place has its functions, under its names and with its arguments."""

import inspect
import re

import pytest
from cuda.bindings import driver as real
from host_driver import HostDriver

from framelens_triton.cuda.errors import CudaError, checked

CALLS = sorted(name for name in vars(HostDriver) if name.startswith("cu"))


@pytest.mark.parametrize("name", CALLS)
def test_it_takes_what_cuda_python_takes(name: str) -> None:
    declared = re.match(rf"{name}\((.*?)\)", getattr(real, name).__doc__)
    assert declared is not None
    arguments = [each for each in declared[1].split(",") if each.strip()]
    _self, *ours = inspect.signature(getattr(HostDriver, name)).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in ours):
        return
    assert len(ours) == len(arguments)


@pytest.mark.parametrize(
    ("result", "value"),
    [((0,), None), ((0, 5), 5), ((0, 5, 6), (5, 6))],
)
def test_a_call_that_went_well_gives_what_it_answers(result: tuple[int, ...], value: object) -> None:
    assert checked(result, "doing nothing") == value


def test_a_call_that_failed_says_what_was_being_done() -> None:
    with pytest.raises(CudaError, match=r"copying 3 bytes: CUDA_ERROR_INVALID_VALUE \(1\)"):
        checked((real.CUresult.CUDA_ERROR_INVALID_VALUE,), "copying 3 bytes")
