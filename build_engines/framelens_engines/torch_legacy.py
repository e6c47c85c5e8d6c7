"""Reads the tensors of a legacy (before 1.6, not zip) PyTorch checkpoint without PyTorch.

Unpickling runs code that the file names, so only four names are admitted and none of them runs anything. The layout is
that of torch.serialization._legacy_load: magic number, protocol, system information, the object, the keys of its
storages, then each storage as an int64 count and its little-endian values.
"""

import io
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from framelens_engines.errors import ConversionError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Storage:
    key: str
    type: _StorageType
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


_ADMITTED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): _StorageType(np.dtype("<f4")),
    ("torch", "LongStorage"): _StorageType(np.dtype("<i8")),
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) not in _ADMITTED:
            raise ConversionError(f"the checkpoint asks for {module}.{name}; only plain tensors are read")
        return _ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:  # noqa: ANN401
        kind, storage_type, key, _device, count, view = pid
        if kind != "storage" or view is not None:
            raise ConversionError(f"the checkpoint refers to {pid!r}; only whole storages are read")
        return _Storage(key, storage_type, count)


def read_tensors(checkpoint: bytes) -> dict[str, NDArray[Any]]:
    """The state dict's tensors by name; raises ConversionError if the bytes are not such a checkpoint."""
    stream = io.BytesIO(checkpoint)
    try:
        if (_load(stream), _load(stream)) != (_MAGIC, _PROTOCOL):
            raise ConversionError("this is not a legacy PyTorch checkpoint: its magic number or protocol differs")
        if not _load(stream)["little_endian"]:
            raise ConversionError("this checkpoint is big-endian; only little-endian ones are read")
        tensors, keys = _load(stream), _load(stream)
        types = {tensor.storage.key: tensor.storage.type for tensor in tensors.values()}
        storages = {key: _read_storage(stream, types[key].dtype) for key in keys}
        return {name: _materialise(name, tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise ConversionError(
            f"these {len(checkpoint)} bytes are not a legacy PyTorch checkpoint: {error!r}"
        ) from error


def _load(stream: io.BytesIO) -> Any:  # noqa: ANN401
    return _RestrictedUnpickler(stream).load()


def _read_storage(stream: io.BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    (count,) = struct.unpack("<q", stream.read(8))
    content = stream.read(count * dtype.itemsize)
    return np.frombuffer(content, dtype=dtype, count=count)


def _materialise(name: str, tensor: _Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if tensor.offset < 0 or min(tensor.strides, default=0) < 0 or not last < storage.size:
        raise ConversionError(f"tensor {name} reaches element {last} of a storage of {storage.size}")
    byte_strides = [stride * storage.itemsize for stride in tensor.strides]
    return as_strided(storage[tensor.offset :], tensor.shape, byte_strides).copy()
