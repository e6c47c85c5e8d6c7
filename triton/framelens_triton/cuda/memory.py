"""Memory of the GPU and pinned memory of the host: taken in one piece, given out in parts."""

import ctypes
import weakref
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from framelens_triton.cuda.bindings import driver
from framelens_triton.cuda.errors import checked
from framelens_triton.cuda.stream import Stream

# What kernels and TensorRT like addresses to be multiples of.
ALIGNMENT = 256
_FIRST_PIECE = 16 * 2**20


class Memory(Protocol):
    """A piece of memory by its address; freed when nobody holds it."""

    @property
    def address(self) -> int: ...
    @property
    def size(self) -> int: ...


class DeviceMemory:
    """Memory of the GPU. cuMemAlloc's, because only that can be lent to another process. Raises CudaError."""

    def __init__(self, size: int) -> None:
        cuda = driver()
        native = checked(cuda.cuMemAlloc(max(size, 1)), f"taking {size} bytes of the GPU's memory")
        self.address, self.size = int(native), size
        weakref.finalize(self, cuda.cuMemFree, native).atexit = False


class PinnedMemory:
    """Memory of the host that the GPU copies by itself, beside other work. Raises CudaError."""

    def __init__(self, size: int) -> None:
        cuda = driver()
        self.address = int(checked(cuda.cuMemHostAlloc(max(size, 1), 0), f"pinning {size} bytes of memory"))
        self.size = size
        weakref.finalize(self, cuda.cuMemFreeHost, self.address).atexit = False


class Arena:
    """Gives parts of memory out until `reset`, which takes all back; it settles on one piece that is large enough."""

    def __init__(self, take: Callable[[int], Memory]) -> None:
        self._take = take
        self._pieces: list[Memory] = []
        self._used = 0
        self._given = 0

    def part(self, size: int) -> int:
        """The address of `size` bytes, aligned. Raises CudaError."""
        size = -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
        if not self._pieces or self._used + size > self._pieces[-1].size:
            self._pieces.append(self._take(max(size, _FIRST_PIECE, self._given)))
            self._used = 0
        address = self._pieces[-1].address + self._used
        self._used += size
        self._given += size
        return address

    def reset(self) -> None:
        """Nobody may use any part any more."""
        if len(self._pieces) > 1:
            self._pieces = []  # All freed before their successor is taken.
            self._pieces = [self._take(self._given)]
        self._used = self._given = 0


def host_view(address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """Memory of the host as an array, without a copy; whoever asks keeps the memory."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    memory = memoryview((ctypes.c_uint8 * size).from_address(address))
    array: npt.NDArray[np.generic] = np.frombuffer(memory, kind).reshape(shape)
    return array


def copy_to_device(target: int, source: int, size: int, stream: Stream) -> None:
    """From pinned memory, in the stream's turn. Raises CudaError."""
    checked(driver().cuMemcpyHtoDAsync(target, source, size, stream.native), f"copying {size} bytes to the GPU")


def copy_to_host(target: int, source: int, size: int, stream: Stream) -> None:
    """To pinned memory, in the stream's turn. Raises CudaError."""
    checked(driver().cuMemcpyDtoHAsync(target, source, size, stream.native), f"copying {size} bytes from the GPU")


def copy_on_device(target: int, source: int, size: int, stream: Stream) -> None:
    """Inside the GPU, in the stream's turn. Raises CudaError."""
    checked(driver().cuMemcpyDtoDAsync(target, source, size, stream.native), f"copying {size} bytes on the GPU")
