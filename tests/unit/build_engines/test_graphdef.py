import struct

import numpy as np
import pytest

from framelens_engines.errors import ConversionError
from framelens_engines.graphdef import read_nodes


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def _constant(tensor: bytes) -> bytes:
    value = _field(1, b"value") + _field(2, _field(8, tensor))
    return _field(1, _field(1, b"c") + _field(2, b"Const") + _field(5, value))


def _shape(*sizes: int) -> bytes:
    return _field(2, b"".join(_field(2, bytes([8, size])) for size in sizes))


FLOAT32 = bytes([1 << 3, 1])
INT32 = bytes([1 << 3, 3])


def test_packed_values_and_raw_content_read_alike() -> None:
    values = struct.pack("<4f", 1, 2, -3, 4)
    for number in (4, 5):
        tensor = read_nodes(_constant(FLOAT32 + _shape(2, 2) + _field(number, values)))["c"].tensor()
        assert np.array_equal(tensor, [[1, 2], [-3, 4]])


def test_one_value_stands_for_all() -> None:
    tensor = read_nodes(_constant(FLOAT32 + _shape(3) + _field(5, struct.pack("<f", 7))))["c"].tensor()
    assert np.array_equal(tensor, [7, 7, 7])


def test_control_edges_and_output_numbers_are_dropped() -> None:
    graph = _field(1, _field(1, b"n") + _field(2, b"Add") + _field(3, b"^a") + _field(3, b"b:1"))
    assert read_nodes(graph)["n"].inputs == ("a", "b")


@pytest.mark.parametrize(
    ("tensor", "complaint"),
    [
        (INT32 + _shape(1) + _field(4, b"\0" * 4), "dtype 3; only float32"),
        (FLOAT32 + _shape(3) + _field(4, b"\0" * 8), r"holds 2 values; its shape \[3\] needs 3"),
    ],
)
def test_a_constant_that_is_not_understood_is_named(tensor: bytes, complaint: str) -> None:
    with pytest.raises(ConversionError, match=complaint):
        read_nodes(_constant(tensor))["c"].tensor()


@pytest.mark.parametrize("content", [b"not a graph at all", b"\x0a\xff\xff", b"\x0b\x00", _constant(FLOAT32)[:-3]])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ConversionError, match="not a frozen TensorFlow graph"):
        read_nodes(content)


def test_a_missing_attribute_is_named() -> None:
    node = read_nodes(_field(1, _field(1, b"n") + _field(2, b"Conv2D")))["n"]
    with pytest.raises(ConversionError, match=r"n \(Conv2D\) has no attribute strides"):
        node.integers("strides")
