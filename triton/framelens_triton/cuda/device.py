"""A GPU of this machine, and its primary context, which Triton and TensorRT use too."""

from dataclasses import dataclass

from framelens_triton.cuda.bindings import driver
from framelens_triton.cuda.errors import CudaUnavailable, checked


@dataclass(frozen=True)
class Device:
    """A GPU that is ready for use on the thread that opened it."""

    ordinal: int
    name: str
    compute_capability: tuple[int, int]

    @classmethod
    def open(cls, ordinal: int = 0) -> "Device":
        """Makes the GPU's primary context that of this thread. Raises CudaUnavailable, CudaError."""
        cuda = driver()
        count = checked(cuda.cuDeviceGetCount(), "counting the GPUs")
        if not 0 <= ordinal < count:
            raise CudaUnavailable(f"GPU {ordinal} is not there; this machine shows {count}")
        device = checked(cuda.cuDeviceGet(ordinal), f"opening GPU {ordinal}")
        context = checked(cuda.cuDevicePrimaryCtxRetain(device), f"opening the primary context of GPU {ordinal}")
        checked(cuda.cuCtxSetCurrent(context), f"making GPU {ordinal} current")
        name = checked(cuda.cuDeviceGetName(128, device), f"naming GPU {ordinal}")
        attribute = cuda.CUdevice_attribute
        major, minor = (
            checked(cuda.cuDeviceGetAttribute(each, device), f"asking GPU {ordinal} for its compute capability")
            for each in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        return cls(ordinal, bytes(name).rstrip(b"\0").decode(), (major, minor))

    def __str__(self) -> str:
        major, minor = self.compute_capability
        return f"GPU {self.ordinal} ({self.name}, compute capability {major}.{minor})"
