"""What GPU this machine has, and its peaks by what the driver says of it."""

from dataclasses import asdict, dataclass
from typing import Any

from framelens_perf.gpu_check.failures import GpuMissing
from framelens_perf.gpu_check.floors import Arithmetic, Peaks
from framelens_triton.cuda.bindings import driver
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.errors import CudaUnavailable, checked

NEEDED = (
    "gpu-check needs an NVIDIA GPU of compute capability 7.5 or later, a driver of CUDA 13 (580 or later), and the"
    " packages of `pip install -e 'triton[gpu]'`; run `make gpu-check` on a machine that has the first two"
)
# Dense operations of one multiprocessor in one clock, a multiplication and an addition being two: lanes, and tensor
# cores in TF32 (lanes where there is none), FP16 and INT8. The peaks of NVIDIA's data sheets, divided by
# multiprocessors and boost clock: tests/unit/perf/gpu_check/test_hardware.py has a card of each capability with its
# source. GeForce cards do half as much in TF32, and in FP16 summed in FP32, so their floors may be too low, never too
# high. Tensor cores of capability 9.0 and 10.0 run some 7 % under the clock that the driver tells: the same holds.
_PER_CLOCK: dict[tuple[int, int], tuple[int, int, int, int]] = {
    (7, 5): (128, 128, 1024, 2048),
    (8, 0): (128, 1024, 2048, 4096),
    (8, 6): (256, 512, 1024, 2048),
    (8, 9): (256, 512, 1024, 2048),
    (9, 0): (256, 2048, 4096, 8192),
    (10, 0): (256, 4096, 8192, 16384),
    (12, 0): (256, 512, 1024, 2048),
}


@dataclass(frozen=True)
class Hardware:
    """A GPU as its driver describes it; a zero is what the driver does not say."""

    name: str
    pci_address: str
    compute_capability: tuple[int, int]
    driver_cuda: int
    memory_bytes: int
    multiprocessors: int
    clock_hz: float
    memory_clock_hz: float
    memory_bus_bits: int

    @property
    def declared_bytes_per_s(self) -> float:
        """Two transfers a clock: CUDA C++ Best Practices Guide, "Theoretical Bandwidth Calculation"."""
        return 2 * self.memory_clock_hz * self.memory_bus_bits / 8

    def peaks(self, copied_bytes_per_s: float) -> Peaks:
        """Where the driver declares no bandwidth, or less than a copy reached, that of the copy."""
        per_clock = _PER_CLOCK.get(self.compute_capability, ())
        rate = self.multiprocessors * self.clock_hz
        operations = {kind: each * rate for kind, each in zip(Arithmetic, per_clock, strict=False) if rate}
        return Peaks(max(self.declared_bytes_per_s, copied_bytes_per_s), operations)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"declared_bytes_per_s": self.declared_bytes_per_s}


def opened(ordinal: int) -> Device:
    """Raises GpuMissing with what is missing and what is needed, CudaError."""
    try:
        return Device.open(ordinal)
    except CudaUnavailable as reason:
        raise GpuMissing(f"{reason}; nothing was measured. {NEEDED}") from reason


def hardware(device: Device) -> Hardware:
    """Raises CudaError."""
    cuda = driver()
    native = checked(cuda.cuDeviceGet(device.ordinal), f"opening GPU {device.ordinal}")

    def attribute(name: str) -> int:
        asked = getattr(cuda.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(checked(cuda.cuDeviceGetAttribute(asked, native), f"asking {device} for {name}"))

    return Hardware(
        name=device.name,
        pci_address=_text(checked(cuda.cuDeviceGetPCIBusId(32, native), f"asking {device} for its address")),
        compute_capability=device.compute_capability,
        driver_cuda=int(checked(cuda.cuDriverGetVersion(), "asking the driver for its version")),
        memory_bytes=int(checked(cuda.cuDeviceTotalMem(native), f"asking {device} for its memory")),
        multiprocessors=attribute("MULTIPROCESSOR_COUNT"),
        clock_hz=attribute("CLOCK_RATE") * 1e3,
        memory_clock_hz=attribute("MEMORY_CLOCK_RATE") * 1e3,
        memory_bus_bits=attribute("GLOBAL_MEMORY_BUS_WIDTH"),
    )


def _text(found: bytes) -> str:
    return bytes(found).rstrip(b"\0").decode()
