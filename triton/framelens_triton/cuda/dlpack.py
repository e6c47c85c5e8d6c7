"""DLPack by its C structures: arrays handed to and taken from others without a copy.

The layout is that of dlpack.h, version 0.8 and below, which every library reads: a capsule named `dltensor`.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

_NAME = b"dltensor"
CPU, CUDA, CUDA_HOST = 1, 2, 3
# Type codes of DLPack by numpy's kind, and back.
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
_KINDS = {code: kind for kind, code in _CODES.items()}


class _DeviceType(ctypes.Structure):
    _fields_ = (("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32))


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _DeviceType),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("manager_ctx", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]

# What is lent, by the address of its structure, until its taker calls the deleter.
_lent: dict[int, tuple[Any, ...]] = {}


@dataclass(frozen=True)
class Layout:
    """Where an array lies; `strides` in bytes, None where its elements lie one after the other."""

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...] | None
    device: tuple[int, int]


def capsule(layout: Layout, owner: object) -> Any:  # noqa: ANN401
    """A capsule over a contiguous array; `owner` is kept until the taker is done with it."""
    shape = (ctypes.c_int64 * len(layout.shape))(*layout.shape)
    managed = _Managed(
        tensor=_Tensor(
            data=layout.address,
            device=_DeviceType(*layout.device),
            ndim=len(layout.shape),
            dtype=_DataType(_CODES[layout.dtype.kind], layout.dtype.itemsize * 8, 1),
            shape=shape,
        ),
        deleter=ctypes.cast(_deleter, ctypes.c_void_p),
    )
    address = ctypes.addressof(managed)
    _lent[address] = managed, shape, owner
    return _new(address, _NAME, ctypes.cast(_destructor, ctypes.c_void_p))


def layout(taken: Any) -> Layout:  # noqa: ANN401
    """What a capsule shows. It is not consumed: who holds it may use the memory, and it frees that when dropped.

    Raises ValueError where it is none, or of a type that numpy has not.
    """
    if not _is_valid(id(taken), _NAME):
        raise ValueError("this is no DLPack capsule, or it was consumed before; take a new one")
    tensor = _Managed.from_address(_pointer(id(taken), _NAME)).tensor
    kind = _KINDS.get(tensor.dtype.code)
    if kind is None or tensor.dtype.lanes != 1:
        raise ValueError(f"a DLPack array of type code {tensor.dtype.code} cannot be used; give integers or floats")
    dtype = np.dtype(f"{kind}{tensor.dtype.bits // 8}")
    strides = tuple(each * dtype.itemsize for each in tensor.strides[: tensor.ndim]) if tensor.strides else None
    device = tensor.device.device_type, tensor.device.device_id
    return Layout((tensor.data or 0) + tensor.byte_offset, tuple(tensor.shape[: tensor.ndim]), dtype, strides, device)


def _give_back(managed: int) -> None:
    _lent.pop(managed, None)


def _drop(dropped: int) -> None:
    """A capsule that nobody took, else its name were another by now."""
    if _is_valid(dropped, _NAME):
        _lent.pop(_pointer(dropped, _NAME), None)


# Called by whoever took a capsule, and by Python when a capsule goes.
_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_deleter, _destructor = _Callback(_give_back), _Callback(_drop)
