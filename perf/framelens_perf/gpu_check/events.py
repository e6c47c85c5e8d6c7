"""Time on the device, by CUDA events in the stream of the work."""

import math
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from framelens_triton.cuda.bindings import driver
from framelens_triton.cuda.errors import checked
from framelens_triton.cuda.memory import DeviceMemory

_COPIED = 128 * 2**20
_WARM_UPS = 3
# A stream takes about a thousand pieces of work before whoever asks has to wait.
_MOST_COPIES = 400


@dataclass(frozen=True)
class Timed:
    """Of one batch: the median between two events, and the mean of one after the other as their caller sees it."""

    device_ms: float
    wall_ms: float


class Event:
    """Raises CudaError."""

    def __init__(self) -> None:
        cuda = driver()
        flags = cuda.CUevent_flags.CU_EVENT_DEFAULT
        self._native: Any = checked(cuda.cuEventCreate(flags), "creating an event")
        weakref.finalize(self, cuda.cuEventDestroy, self._native).atexit = False

    def record(self, stream: Any) -> None:  # noqa: ANN401
        checked(driver().cuEventRecord(self._native, stream), "recording an event")

    def ms_since(self, earlier: "Event") -> float:
        """Waits for it."""
        cuda = driver()
        checked(cuda.cuEventSynchronize(self._native), "waiting for an event")
        return float(checked(cuda.cuEventElapsedTime(earlier._native, self._native), "reading two events"))


class EventTimer:
    """Times work of any stream, by its handle, of the GPU that is this thread's. Raises CudaError.

    Before each batch the stream is given copies to do, for longer than it takes to ask for the batch: so the time
    between the events is the GPU's, and not that of Python asking. Work that waits for the GPU while it asks, as a JPEG
    decoder may, has the host's part in it all the same.
    """

    def __init__(self) -> None:
        self._scratch = DeviceMemory(2 * _COPIED)
        stream = driver().CUstream(0)
        self._copy(stream, _WARM_UPS)
        self._copy_ms = self._between(stream, lambda: self._copy(stream, 10)) / 10

    @property
    def copied_bytes_per_s(self) -> float:
        """Read and written by a copy inside the GPU."""
        return 2 * _COPIED / (self._copy_ms / 1e3)

    def time(self, handle: int, work: Callable[[], None], finish: Callable[[], None], repeats: int = 20) -> Timed:
        """`work` asks for a batch, and `finish`, which is not in the device's time, waits until it is done."""
        for _ in range(_WARM_UPS):
            work()
            finish()
        wall_ms = _wall_ms(work, finish, repeats)
        stream = driver().CUstream(handle)
        copies = min(_MOST_COPIES, math.ceil(2 * wall_ms / self._copy_ms))
        spans = []
        for _ in range(repeats):
            self._copy(stream, copies)
            spans.append(self._between(stream, work))
            finish()
        return Timed(median(spans), wall_ms)

    def _between(self, stream: Any, work: Callable[[], None]) -> float:  # noqa: ANN401
        start, end = Event(), Event()
        start.record(stream)
        work()
        end.record(stream)
        return end.ms_since(start)

    def _copy(self, stream: Any, times: int) -> None:  # noqa: ANN401
        cuda, address = driver(), self._scratch.address
        for _ in range(times):
            copied = cuda.cuMemcpyDtoDAsync(address + _COPIED, address, _COPIED, stream)
            checked(copied, f"copying {_COPIED} bytes on the GPU")


def _wall_ms(work: Callable[[], None], finish: Callable[[], None], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        work()
        finish()
    return (time.perf_counter() - started) * 1e3 / repeats
