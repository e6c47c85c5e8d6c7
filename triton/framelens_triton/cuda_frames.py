"""Pictures for an engine of a Triton on the same host, through its CUDA shared memory: they are never sent.

For callers of `detector` and `embedder_*` themselves, who have their pictures in the GPU's memory or want them there
once. An encoded picture, such as `recognizer` takes, is a string, and Triton takes no strings from a GPU's memory.
"""

import base64
import ctypes
import math
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput

from framelens_triton.cuda.arrays import taken
from framelens_triton.cuda.bindings import driver
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.errors import checked
from framelens_triton.cuda.memory import DeviceMemory, PinnedMemory, copy_on_device, copy_to_device, host_view
from framelens_triton.cuda.stream import Stream

# CU_IPC_HANDLE_SIZE of cuda.h.
_HANDLE_SIZE = 64


class CudaFrames:
    """Memory of one GPU that a Triton on this host reads a batch of pictures from. Raises CudaError."""

    def __init__(self, device: Device, size: int) -> None:
        self.name = f"framelens-{uuid.uuid4().hex}"
        self._device = device
        self._memory = DeviceMemory(size)
        self._staging = PinnedMemory(size)
        self._stream = Stream()

    @contextmanager
    def registered(self, triton: InferenceServerClient) -> Iterator["CudaFrames"]:
        """While Triton knows of it. Raises tritonclient's InferenceServerException where it runs on another host."""
        handle = checked(driver().cuIpcGetMemHandle(self._memory.address), "lending memory to Triton")
        raw = base64.b64encode(ctypes.string_at(int(handle.getPtr()), _HANDLE_SIZE))
        triton.register_cuda_shared_memory(self.name, raw, self._device.ordinal, self._memory.size)
        try:
            yield self
        finally:
            triton.unregister_cuda_shared_memory(self.name)

    def input(self, name: str, pictures: Any) -> InferInput:  # noqa: ANN401
        """The input `name` of a request: uint8 [n, height, width, 3] of numpy, or of any library in the GPU's memory.

        It holds until the next call. Raises ValueError where they do not fit.
        """
        shape = self._filled(pictures)
        request = InferInput(name, list(shape), "UINT8")
        return request.set_shared_memory(self.name, math.prod(shape))

    def _filled(self, pictures: Any) -> tuple[int, ...]:  # noqa: ANN401
        if isinstance(pictures, np.ndarray):
            self._check(pictures.shape, pictures.dtype)
            host_view(self._staging.address, pictures.shape, np.uint8)[...] = pictures
            copy_to_device(self._memory.address, self._staging.address, pictures.nbytes, self._stream)
            shape: tuple[int, ...] = pictures.shape
        else:
            found = taken(pictures, self._stream.follow, self._stream.handle)
            self._check(found.shape, found.dtype)
            if found.strides not in (None, _contiguous(found.shape)):
                raise ValueError(f"pictures with strides {found.strides} are not contiguous; make them so")
            copy_on_device(self._memory.address, found.address, math.prod(found.shape), self._stream)
            shape = found.shape
        self._stream.synchronize()
        return shape

    def _check(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if dtype != np.uint8 or len(shape) != 4 or math.prod(shape) > self._memory.size:
            raise ValueError(
                f"pictures are {dtype} {list(shape)}; uint8 [n, height, width, 3] of at most {self._memory.size} bytes"
                " are needed"
            )


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of bytes that lie one after the other."""
    return tuple(math.prod(shape[index + 1 :]) for index in range(len(shape)))
