"""What image operations ask of a GPU: one seam, so that a test can put this machine's own memory and cores there."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from framelens_triton.cuda.device import Device
from framelens_triton.cuda.kernels import Kernels, Size
from framelens_triton.cuda.memory import Arena, DeviceMemory, PinnedMemory, copy_to_device, copy_to_host, host_view
from framelens_triton.cuda.stream import Stream


class Gpu(Protocol):
    """Memory that is kept until `forget`, kernels over it, and one stream in which all is done in order."""

    @property
    def ordinal(self) -> int:
        """Which of the machine's GPUs it is."""

    @property
    def stream(self) -> int:
        """Its handle, for other libraries."""

    def room(self, size: int) -> int:
        """The address of `size` bytes of the GPU's memory."""

    def upload(self, array: npt.NDArray[np.generic]) -> int:
        """The address of a copy in the GPU's memory."""

    def download(self, address: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """A copy of the GPU's memory, when all before it is done."""

    def launch(self, kernel: str, grid: Size, block: Size, arguments: Sequence[int]) -> None:
        """Starts a kernel; it takes addresses only."""

    def follow(self, stream: int) -> None:
        """Waits for another library's stream."""

    def synchronize(self) -> None:
        """Waits until all is done."""

    def forget(self) -> None:
        """All is done, and nobody uses any of the memory any more."""


class CudaGpu:
    """A real one; used by the thread that made it. Raises CudaError, and CudaUnavailable when it is made."""

    def __init__(self, device: Device, source: str, name: str) -> None:
        self.ordinal = device.ordinal
        self._kernels = Kernels(source, name, device.compute_capability)
        self._stream = Stream()
        self._memory = Arena(DeviceMemory)
        self._staging = Arena(PinnedMemory)

    @property
    def stream(self) -> int:
        return self._stream.handle

    def room(self, size: int) -> int:
        return self._memory.part(size)

    def upload(self, array: npt.NDArray[np.generic]) -> int:
        staged = self._staging.part(array.nbytes)
        host_view(staged, array.shape, array.dtype)[...] = array
        address = self.room(array.nbytes)
        copy_to_device(address, staged, array.nbytes, self._stream)
        return address

    def download(self, address: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        size = int(np.prod(shape, dtype=np.int64))
        staged = self._staging.part(size)
        copy_to_host(staged, address, size, self._stream)
        self.synchronize()
        return np.array(host_view(staged, shape, np.uint8), np.uint8)

    def launch(self, kernel: str, grid: Size, block: Size, arguments: Sequence[int]) -> None:
        self._kernels.launch(kernel, grid, block, arguments, self._stream)

    def follow(self, stream: int) -> None:
        self._stream.follow(stream)

    def synchronize(self) -> None:
        self._stream.synchronize()

    def forget(self) -> None:
        self.synchronize()
        self._memory.reset()
        self._staging.reset()
