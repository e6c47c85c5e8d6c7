"""`cuda.bindings.driver` over this machine's memory: what is asked of a stream is done when somebody waits for it.

So whoever reads too early, or waits for the wrong stream, sees what was there before.
"""

import ctypes
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from host_gpu import HostGpu

from framelens_triton.cuda import bindings


class Status(int):
    name = "CUDA_SUCCESS"


class OutOfMemory(int):
    name = "CUDA_ERROR_OUT_OF_MEMORY"


class Unsupported(int):
    name = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"


OK = Status(0)
Work = Callable[[], None]


class HostDriver(ModuleType):
    """One GPU of compute capability 9.0 with `limit` bytes."""

    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=9, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=0
    )
    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING=1)
    CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1)
    CUstream = int

    def __init__(self, gpu: HostGpu, limit: int = 2**31) -> None:
        super().__init__("cuda.bindings.driver")
        self.gpu, self.limit = gpu, limit
        self.memory: dict[int, Any] = {}
        self.waiting: dict[int, list[Work]] = {}
        self.recording: dict[int, list[Work]] = {}
        self.graphs: dict[int, list[Work]] = {}
        self.calls: list[str] = []
        self.captures = True

    def submit(self, stream: int, work: Work) -> None:
        """What a library that takes a stream's handle does with it."""
        self.recording.get(stream, self.waiting[stream]).append(work)

    @property
    def taken(self) -> int:
        return sum(ctypes.sizeof(each) for each in self.memory.values())

    def cuInit(self, flags: int) -> tuple[int]:
        return (OK,)

    def cuDeviceGetCount(self) -> tuple[int, int]:
        return OK, 1

    def cuDeviceGet(self, ordinal: int) -> tuple[int, int]:
        return OK, ordinal

    def cuDevicePrimaryCtxRetain(self, device: int) -> tuple[int, int]:
        return OK, 1

    def cuCtxSetCurrent(self, context: int) -> tuple[int]:
        return (OK,)

    def cuDeviceGetName(self, length: int, device: int) -> tuple[int, bytes]:
        return OK, b"Host".ljust(length, b"\0")

    def cuDeviceGetAttribute(self, attribute: int, device: int) -> tuple[int, int]:
        return OK, attribute

    def cuStreamCreate(self, flags: int) -> tuple[int, int]:
        self.waiting[len(self.waiting) + 100] = []
        return OK, len(self.waiting) + 99

    def cuStreamDestroy(self, stream: int) -> tuple[int]:
        return (OK,)

    def cuStreamSynchronize(self, stream: int) -> tuple[int]:
        self.calls.append("synchronize")
        waiting, self.waiting[stream] = self.waiting[stream], []
        for work in waiting:
            work()
        return (OK,)

    def cuMemAlloc(self, size: int) -> tuple[int, int]:
        if self.taken + size > self.limit:
            return OutOfMemory(2), 0
        piece = (ctypes.c_uint8 * (size + 256))()
        # As aligned as CUDA's.
        address = -(-ctypes.addressof(piece) // 256) * 256
        self.memory[address] = piece
        return OK, address

    def cuMemFree(self, address: int) -> tuple[int]:
        del self.memory[int(address)]
        return (OK,)

    def cuMemHostAlloc(self, size: int, flags: int) -> tuple[int, int]:
        return self.cuMemAlloc(size)

    def cuMemFreeHost(self, address: int) -> tuple[int]:
        return self.cuMemFree(address)

    def cuIpcGetMemHandle(self, address: int) -> tuple[int, Any]:
        """A handle that holds the address."""
        handle = ctypes.create_string_buffer(address.to_bytes(8, "little"), 64)
        return OK, SimpleNamespace(getPtr=lambda: ctypes.addressof(handle), kept=handle)

    def _copy(self, target: int, source: int, size: int, stream: int) -> tuple[int]:
        self.submit(stream, lambda: ctypes.memmove(target, source, size) and None)
        return (OK,)

    def cuMemcpyHtoDAsync(self, target: int, source: int, size: int, stream: int) -> tuple[int]:
        self.calls.append("to device")
        return self._copy(target, source, size, stream)

    def cuMemcpyDtoHAsync(self, target: int, source: int, size: int, stream: int) -> tuple[int]:
        self.calls.append("to host")
        return self._copy(target, source, size, stream)

    def cuMemcpyDtoDAsync(self, target: int, source: int, size: int, stream: int) -> tuple[int]:
        self.calls.append("on device")
        return self._copy(target, source, size, stream)

    def cuModuleLoadData(self, code: bytes) -> tuple[int, int]:
        assert code.startswith(b"\x7fELF")
        return OK, 1

    def cuModuleUnload(self, module: int) -> tuple[int]:
        return (OK,)

    def cuModuleGetFunction(self, module: int, name: bytes) -> tuple[int, str]:
        return OK, name.decode()

    def cuLaunchKernel(self, function: str, *rest: Any) -> tuple[int]:
        *sizes, _, stream, (values, types), _ = rest
        assert types == (ctypes.c_void_p,) * len(values)
        self.submit(stream, lambda: self.gpu.launch(function, sizes[:3], sizes[3:], values))
        return (OK,)

    def cuStreamBeginCapture(self, stream: int, mode: int) -> tuple[int]:
        self.recording[stream] = []
        return (OK,)

    def cuStreamEndCapture(self, stream: int) -> tuple[int, int | None]:
        work = self.recording.pop(stream)
        if not self.captures:
            return Unsupported(900), None
        self.graphs[len(self.graphs) + 1] = work
        return OK, len(self.graphs)

    def cuGraphInstantiate(self, graph: int, flags: int) -> tuple[int, int]:
        return OK, graph

    def cuGraphDestroy(self, graph: int) -> tuple[int]:
        return (OK,)

    def cuGraphExecDestroy(self, graph: int) -> tuple[int]:
        return (OK,)

    def cuGraphLaunch(self, graph: int, stream: int) -> tuple[int]:
        self.calls.append(f"graph {graph}")
        self.waiting[stream].extend(self.graphs[graph])
        return (OK,)


@contextmanager
def in_place_of_cuda(fake: HostDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While it lasts, this is the driver that `framelens_triton.cuda` finds."""
    # The compiler's module stays the real one, and takes parts of the driver's that it finds when it is imported.
    importlib.import_module("cuda.bindings.nvrtc")
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", fake)
    monkeypatch.setattr(bindings, "_DRIVER_LIBRARY", "libc.so.6")
    bindings.driver.cache_clear()
    yield
    bindings.driver.cache_clear()
