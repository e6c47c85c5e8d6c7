"""What can go wrong with a GPU.

CudaError             the driver or the compiler refused; the message says what was being done
└── CudaUnavailable   this machine has no GPU, no driver, or not the packages of `framelens-triton[gpu]`
"""

from typing import Any


class CudaError(Exception):
    pass


class CudaUnavailable(CudaError):
    pass


def checked(result: tuple[Any, ...], doing: str) -> Any:  # noqa: ANN401
    """What a call of cuda-python answers besides its status: nothing, one value, or a tuple. Raises CudaError."""
    status, *values = result
    if int(status):
        raise CudaError(f"{doing}: {status.name} ({int(status)})")
    return values[0] if len(values) == 1 else tuple(values) or None
