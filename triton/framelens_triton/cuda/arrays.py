"""Arrays in the GPU's memory: our own, and those of other libraries, by `__cuda_array_interface__` or DLPack."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from framelens_triton.cuda import dlpack


@dataclass(frozen=True)
class DeviceArray:
    """An array in a GPU's memory, one element after the other; what fills it is done when it is handed on.

    `owner` keeps the memory. pycuda, cupy, torch and Triton take it as it is.
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: object
    device: tuple[int, int] = (dlpack.CUDA, 0)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """In bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def part(self, start: int, end: int) -> "DeviceArray":
        """Its rows from `start` up to `end`, over the same memory."""
        end = min(end, len(self))
        row = self.size // max(1, len(self))
        shape = (end - start, *self.shape[1:])
        return DeviceArray(self.address + start * row, shape, self.dtype, self.owner, self.device)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "version": 3,
            "stream": None,
        }

    def __dlpack__(self, **_asked: object) -> Any:  # noqa: ANN401
        """Needs no stream to wait for, and is never a copy."""
        return dlpack.capsule(dlpack.Layout(self.address, self.shape, self.dtype, None, self.device), self)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


@dataclass(frozen=True)
class DeviceImage:
    """RGB pixels uint8 [height, width, 3] in a GPU's memory, `stride` bytes from row to row."""

    address: int
    width: int
    height: int
    stride: int
    owner: object = None

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


def taken(array: Any, follow: Callable[[int], None], stream: int) -> dlpack.Layout:  # noqa: ANN401
    """Where an array of another library lies; whoever asks keeps that array.

    `follow` waits for a stream of that library; one that knows DLPack only makes its work precede `stream` by itself.
    Raises ValueError where it is no array in a GPU's memory.
    """
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is not None:
        return _by_interface(interface, follow)
    if not hasattr(array, "__dlpack__"):
        raise ValueError(f"{type(array).__name__} has neither __cuda_array_interface__ nor __dlpack__")
    kind, _ = array.__dlpack_device__()
    if kind != dlpack.CUDA:
        raise ValueError(f"{type(array).__name__} lies on DLPack device {kind} and not in a GPU's memory")
    return dlpack.layout(array.__dlpack__(stream=stream))


def taken_image(array: Any, follow: Callable[[int], None], stream: int) -> DeviceImage:  # noqa: ANN401
    """Such an array as a picture, which keeps it. Raises ValueError where it is no uint8 [height, width, 3]."""
    found = taken(array, follow, stream)
    if found.dtype != np.uint8 or len(found.shape) != 3 or found.shape[2] != 3:
        raise ValueError(
            f"an array {found.dtype} {list(found.shape)} is no picture; uint8 [height, width, 3] is needed"
        )
    height, width, _ = found.shape
    row, *inside = found.strides or (width * 3, 3, 1)
    if inside != [3, 1]:
        raise ValueError(f"a picture with strides {found.strides} has pixels that are not packed; make it contiguous")
    return DeviceImage(found.address, width, height, row, array)


def _by_interface(interface: dict[str, Any], follow: Callable[[int], None]) -> dlpack.Layout:
    if (stream := interface.get("stream")) is not None:
        follow(int(stream))
    strides = interface.get("strides")
    return dlpack.Layout(
        int(interface["data"][0]),
        tuple(interface["shape"]),
        np.dtype(interface["typestr"]),
        tuple(strides) if strides else None,
        (dlpack.CUDA, 0),
    )
