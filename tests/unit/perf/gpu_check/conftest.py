"""The GPU that is none of tests/unit/triton, with a clock of its own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "triton" / "fakes"))

from host_driver import OK, HostDriver, in_place_of_cuda
from host_gpu import HostGpu, compiled_for_host

COPY_MS = 2.0


class ClockedDriver(HostDriver):
    """Events of it tell the time of its own clock: a copy takes 2 ms, and other work what it says."""

    def __init__(self, gpu: HostGpu) -> None:
        super().__init__(gpu)
        self.CUevent_flags = type("Flags", (), {"CU_EVENT_DEFAULT": 0})
        known = vars(self.CUdevice_attribute)
        clocks = ("MULTIPROCESSOR_COUNT", "CLOCK_RATE", "MEMORY_CLOCK_RATE", "GLOBAL_MEMORY_BUS_WIDTH")
        # Each attribute is its own value.
        values = {f"CU_DEVICE_ATTRIBUTE_{name}": 10 for name in clocks}
        self.CUdevice_attribute = SimpleNamespace(**known, **values)
        self.now_ms = 0.0
        self.events: dict[int, float] = {}
        self.copies = 0
        self.waiting[0] = []

    def cuDeviceGetPCIBusId(self, length: int, device: int) -> tuple[int, bytes]:
        return OK, b"0000:01:00.0".ljust(length, b"\0")

    def cuDeviceTotalMem(self, device: int) -> tuple[int, int]:
        return OK, 2**34

    def cuDriverGetVersion(self) -> tuple[int, int]:
        return OK, 13000

    def cuMemcpyDtoDAsync(self, target: int, source: int, size: int, stream: int) -> tuple[int]:
        self.copies += 1
        self.takes(COPY_MS, stream)
        return (OK,)

    def takes(self, ms: float, stream: int) -> None:
        def work() -> None:
            self.now_ms += ms

        self.submit(stream, work)

    def cuEventCreate(self, flags: int) -> tuple[int, int]:
        self.events[len(self.events) + 1] = -1.0
        return OK, len(self.events)

    def cuEventDestroy(self, event: int) -> tuple[int]:
        return (OK,)

    def cuEventRecord(self, event: int, stream: int) -> tuple[int]:
        self.submit(stream, lambda: self.events.update({event: self.now_ms}))
        return (OK,)

    def cuEventSynchronize(self, event: int) -> tuple[int]:
        for stream in list(self.waiting):
            self.cuStreamSynchronize(stream)
        return (OK,)

    def cuEventElapsedTime(self, start: int, end: int) -> tuple[int, float]:
        assert self.events[start] >= 0
        return OK, self.events[end] - self.events[start]


@pytest.fixture
def driver(gpu: HostGpu, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClockedDriver]:
    fake = ClockedDriver(gpu)
    with in_place_of_cuda(fake, monkeypatch):
        yield fake


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return compiled_for_host(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def gpu(kernels: Any) -> HostGpu:
    return HostGpu(kernels)
