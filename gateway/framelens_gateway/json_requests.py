"""JSON to messages of the contract. What does not fit is said in the contract's own names, not in protobuf's."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from framelens_client.reasons import Reason
from framelens_gateway.errors import InvalidRequest

AnyMessage = TypeVar("AnyMessage", bound=Message)
# protobuf's descriptors come in several implementations, which share an interface and no type.
Descriptor = Any
Field = Any

# SystemError is protobuf's answer to a field name with half a character in it.
_FAILURES = (json_format.ParseError, ValueError, RecursionError, SystemError)
_LONGEST_SHOWN = 60
# Both alphabets, and the line feeds of encoders that fold.
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\r\n"
_WANTED = {
    FieldDescriptor.TYPE_INT32: "a whole number",
    FieldDescriptor.TYPE_INT64: "a whole number",
    FieldDescriptor.TYPE_UINT32: "a whole number",
    FieldDescriptor.TYPE_FLOAT: "a number",
    FieldDescriptor.TYPE_DOUBLE: "a number",
    FieldDescriptor.TYPE_STRING: "text",
    FieldDescriptor.TYPE_BOOL: "true or false",
}


class _Fault(NamedTuple):
    field: str
    message: str


ScalarCheck = Callable[[object, Field, str], Iterator[_Fault]]


def message_of(body: bytes, message: AnyMessage) -> AnyMessage:
    """Fills the message. Raises InvalidRequest, naming the field."""
    name = message.DESCRIPTOR.name
    try:
        read = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not a {name} in JSON: {error}") from error
    if not isinstance(read, dict):
        raise InvalidRequest("the body is JSON, but not an object")
    # First what protobuf takes without a word: of text that is not base64 it keeps what could be.
    _refuse_first(_faults(read, message.DESCRIPTOR, check_scalar=_base64_faults))
    try:
        return json_format.ParseDict(read, message)
    except _FAILURES as error:
        _refuse_first(_faults(read, message.DESCRIPTOR, check_scalar=_scalar_faults))
        raise InvalidRequest(f"the body is not a {name}: {error}") from error


def _refuse_first(faults: Iterator[_Fault]) -> None:
    for fault in faults:
        reason = Reason.INVALID_FILTER if "filter" in fault.field.split(".") else Reason.INVALID_ARGUMENT
        raise InvalidRequest(fault.message, reason)


def _faults(
    read: dict[str, Any], descriptor: Descriptor, path: str = "", *, check_scalar: ScalarCheck
) -> Iterator[_Fault]:
    """What the message does not take; null means absent."""
    known = {**{field.json_name: field for field in descriptor.fields}, **descriptor.fields_by_name}
    for name, value in read.items():
        field = known.get(name)
        if field is None:
            names = ", ".join(each.name for each in descriptor.fields)
            yield _Fault(path + name, f"{descriptor.name} has no field {_shown(name)}; it has {names}")
        elif value is not None:
            yield from _field_faults(value, field, path + field.name, check_scalar)


def _field_faults(value: object, field: Field, where: str, check_scalar: ScalarCheck) -> Iterator[_Fault]:
    if field.is_repeated and not isinstance(value, list):
        yield _Fault(where, f"{where} is {_shown(value)}; it must be a list")
        return
    for each in value if field.is_repeated and isinstance(value, list) else [value]:
        if field.message_type is None:
            yield from check_scalar(each, field, where)
        elif isinstance(each, dict):
            yield from _faults(each, field.message_type, f"{where}.", check_scalar=check_scalar)
        else:
            yield _Fault(where, f"{where} is {_shown(each)}; it must be an object")


def _base64_faults(value: object, field: Field, where: str) -> Iterator[_Fault]:
    if field.type == FieldDescriptor.TYPE_BYTES and not (isinstance(value, str) and _is_base64(value)):
        yield _Fault(where, f"{where} is not base64; encode the file's bytes, or send it as multipart/form-data")


def _scalar_faults(value: object, field: Field, where: str) -> Iterator[_Fault]:
    one = {field.name: [value] if field.is_repeated else value}
    try:
        json_format.ParseDict(one, GetMessageClass(field.containing_type)())
    except _FAILURES:
        yield _Fault(where, f"{where} is {_shown(value)}; it must be {_WANTED.get(field.type, 'of another type')}")


def _is_base64(text: str) -> bool:
    """RFC 4648, with or without padding."""
    try:
        digits = text.encode("ascii").rstrip(b"=\r\n")
    except UnicodeEncodeError:
        return False
    if digits.translate(None, _BASE64):
        return False
    return len(digits.translate(None, b"\r\n")) % 4 != 1


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
