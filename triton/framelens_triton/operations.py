"""Which image operations this machine has: a GPU's where there is one with all that is needed, else the CPU's."""

from framelens_triton.cuda.errors import CudaUnavailable
from framelens_triton.gpu_operations import gpu_operations
from framelens_triton.recognition import CpuOperations, Operations


def available_operations(ordinal: int = 0) -> tuple[Operations, str]:
    """The operations, and a sentence for the log that says which they are and why.

    Raises CudaError where the GPU is there and does not work: serving slowly would hide it.
    """
    try:
        operations = gpu_operations(ordinal)
    except CudaUnavailable as reason:
        return CpuOperations(), f"image operations: CPU, because {reason}"
    return operations, f"image operations: {operations.name}, JPEGs by nvImageCodec"
