"""How busy the GPU is while something runs, by NVML, which comes with the driver."""

import ctypes
import threading
from types import TracebackType
from typing import Any, Self

from framelens_perf.gpu_check.failures import GpuCheckFailure

_LIBRARY = "libnvidia-ml.so.1"
_INTERVAL_S = 0.2
# So many samples are the steady part of a load, between the start of what makes it and its end.
_STEADY = 10


class _Rates(ctypes.Structure):
    """nvmlUtilization_t (nvml.h): percent of the last sample period with a kernel running, and with memory in use."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class Utilisation:
    """Samples one GPU, by its PCI address, on a thread of its own. Raises GpuCheckFailure."""

    def __init__(self, pci_address: str) -> None:
        try:
            self._nvml: Any = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise GpuCheckFailure(f"NVML cannot be loaded ({error}); it comes with NVIDIA's driver") from error
        self._device = ctypes.c_void_p()
        self._check(self._nvml.nvmlInit_v2(), "starting NVML")
        found = self._nvml.nvmlDeviceGetHandleByPciBusId_v2(pci_address.encode(), ctypes.byref(self._device))
        self._check(found, f"finding GPU {pci_address}")
        self._samples: list[int] = []
        self._failure: GpuCheckFailure | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="utilisation")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def mean_percent(self) -> float:
        """Raises GpuCheckFailure where a sample failed, or there is none."""
        samples = self._taken()
        return sum(samples) / len(samples)

    def busiest_percent(self) -> float:
        """The highest mean of two seconds. Raises GpuCheckFailure as `mean_percent`."""
        samples = self._taken()
        width = min(_STEADY, len(samples))
        return max(sum(samples[at : at + width]) / width for at in range(len(samples) - width + 1))

    def _taken(self) -> list[int]:
        if self._failure is not None:
            raise self._failure
        if not self._samples:
            raise GpuCheckFailure("no sample of the GPU's utilisation was taken; measure for longer")
        return self._samples

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL_S):
            rates = _Rates()
            try:
                read = self._nvml.nvmlDeviceGetUtilizationRates(self._device, ctypes.byref(rates))
                self._check(read, "reading the GPU's utilisation")
            except GpuCheckFailure as failure:
                self._failure = failure
                return
            self._samples.append(rates.gpu)

    def _check(self, status: int, doing: str) -> None:
        if status:
            raise GpuCheckFailure(f"{doing}: NVML error {status}")
