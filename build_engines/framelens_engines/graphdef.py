"""Reads a frozen TensorFlow GraphDef straight from protobuf's wire format: no TensorFlow, no generated code.

Field numbers are those of tensorflow/core/framework/{graph,node_def,attr_value,tensor,tensor_shape}.proto; the wire
format is protobuf.dev/programming-guides/encoding.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from framelens_engines.errors import ConversionError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DT_FLOAT = 1


@dataclass(frozen=True)
class Node:
    """An operation; attributes stay encoded (AttrValue messages) until they are asked for."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, memoryview] = field(repr=False)

    def string(self, attribute: str) -> str:
        return bytes(_only(self._attribute(attribute), 2)).decode()

    def integers(self, attribute: str) -> tuple[int, ...]:
        return tuple(_varints(_only(_only(self._attribute(attribute), 1), 3)))

    def tensor(self) -> NDArray[np.float32]:
        """The value of a Const of floats; raises ConversionError for any other type."""
        return _tensor(self.name, _only(self._attribute("value"), 8))

    def _attribute(self, name: str) -> memoryview:
        if name not in self.attributes:
            raise ConversionError(f"node {self.name} ({self.op}) has no attribute {name}; is this the expected graph?")
        return self.attributes[name]


def read_nodes(graph: bytes) -> dict[str, Node]:
    """All nodes by name; raises ConversionError if the bytes are not a GraphDef."""
    try:
        nodes = [_node(content) for number, content in _fields(memoryview(graph)) if number == 1]
    except (IndexError, KeyError, TypeError, UnicodeDecodeError, struct.error) as error:
        raise ConversionError(f"these {len(graph)} bytes are not a frozen TensorFlow graph: {error!r}") from error
    return {node.name: node for node in nodes}


def _node(message: memoryview) -> Node:
    name, op, inputs = "", "", []
    attributes = {}
    for number, content in _fields(message):
        if number == 1:
            name = bytes(content).decode()
        elif number == 2:
            op = bytes(content).decode()
        elif number == 3:
            # "^x" is a control edge and "x:0" an output's number: neither matters to a frozen forward pass.
            inputs.append(bytes(content).decode().removeprefix("^").partition(":")[0])
        elif number == 5:
            entry = dict(_fields(content))
            attributes[bytes(entry[1]).decode()] = entry[2]
    return Node(name, op, tuple(inputs), attributes)


def _tensor(name: str, message: memoryview) -> NDArray[np.float32]:
    dtype, shape, values = 0, [], b""
    for number, content in _fields(message):
        if number == 1:
            dtype = struct.unpack("<Q", content)[0]
        elif number == 2:
            shape = [_signed(_only(dimension, 1)) for key, dimension in _fields(content) if key == 2]
        elif number in (4, 5):  # tensor_content, or packed float_val
            values = bytes(content)
    if dtype != _DT_FLOAT:
        raise ConversionError(f"constant {name} has TensorFlow dtype {dtype}; only float32 ({_DT_FLOAT}) is expected")
    array = np.frombuffer(values, dtype="<f4")
    count = int(np.prod(shape, dtype=np.int64))
    if array.size not in (1, count):  # a single value stands for all
        raise ConversionError(f"constant {name} holds {array.size} values; its shape {shape} needs {count}")
    return np.broadcast_to(array, count).reshape(shape) if array.size != count else array.reshape(shape)


def _only(message: memoryview, number: int) -> memoryview:
    for key, content in _fields(message):
        if key == number:
            return content
    raise ConversionError(f"a message of the graph lacks field {number}; is this the expected graph?")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Field number and content; a varint comes as its eight little-endian bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            value, position = _varint(message, position)
            yield number, memoryview(struct.pack("<Q", value))
            continue
        if wire_type == _BYTES:
            length, position = _varint(message, position)
        else:
            length = {_FIXED64: 8, _FIXED32: 4}[wire_type]
        if position + length > len(message):
            raise IndexError(f"field {number} ends {position + length - len(message)} bytes after its message")
        yield number, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7


def _varints(packed: memoryview) -> Iterator[int]:
    position = 0
    while position < len(packed):
        value, position = _varint(packed, position)
        yield value


def _signed(varint: memoryview) -> int:
    value: int = struct.unpack("<q", varint)[0]
    return value
