"""The one way to cuda-python: imported when a GPU is asked for, and never needed elsewhere."""

import ctypes
import importlib
from functools import cache
from importlib.util import find_spec
from types import ModuleType

from framelens_triton.cuda.errors import CudaUnavailable

_DRIVER_LIBRARY = "libcuda.so.1"


@cache
def driver() -> ModuleType:
    """`cuda.bindings.driver`, initialised. Raises CudaUnavailable."""
    try:
        # Asked first, for cuda-python takes a core a good part of a second before it says that there is no driver.
        ctypes.CDLL(_DRIVER_LIBRARY)
    except OSError as error:
        raise CudaUnavailable(f"this machine has no NVIDIA driver ({error})") from None
    module = _binding("driver")
    (status,) = module.cuInit(0)
    if int(status):
        raise CudaUnavailable(f"the NVIDIA driver cannot be used: {status.name} ({int(status)})")
    return module


@cache
def nvrtc() -> ModuleType:
    """`cuda.bindings.nvrtc`, which compiles without a GPU too. Raises CudaUnavailable."""
    module = _binding("nvrtc")
    try:
        module.nvrtcVersion()
    except RuntimeError as error:  # cuda-pathfinder's, where it finds no library.
        raise CudaUnavailable("NVRTC is not installed; run `pip install 'framelens-triton[gpu]'`") from error
    return module


def _binding(name: str) -> ModuleType:
    if find_spec("cuda") is None or find_spec("cuda.bindings") is None:
        raise CudaUnavailable("cuda-python is not installed; run `pip install 'framelens-triton[gpu]'`")
    return importlib.import_module(f"cuda.bindings.{name}")
