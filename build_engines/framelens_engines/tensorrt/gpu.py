"""The GPU of this machine, asked of NVIDIA's driver."""

import ctypes

from framelens_engines.errors import ConversionError

# CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR (cuda.h).
_MAJOR, _MINOR = 75, 76


def compute_capability() -> str:
    """Of the first GPU that this process sees, such as 9.0. Raises ConversionError where there is none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise _no_gpu(str(error)) from error
    parts = []
    status = cuda.cuInit(0)
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        status = status or cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, 0)
        parts.append(str(value.value))
    if status:
        raise _no_gpu(f"CUDA error {status}")
    return ".".join(parts)


def _no_gpu(reason: str) -> ConversionError:
    return ConversionError(
        f"there is no GPU here to build a plan for ({reason}); build where it will run, or without one:"
        " `pip install tensorrt-rtx` into an environment that has no `tensorrt`"
    )
