"""JSON schemas of the contract's messages, read off their descriptors, so that OpenAPI cannot drift from the proto."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

Schema = dict[str, Any]
# protobuf's descriptors come in several implementations, which share an interface and no type.
Descriptor = Any
Field = Any

_INTEGERS = {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT32}
_NUMBERS = {FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE}


def reference(message: Descriptor) -> Schema:
    return {"$ref": f"#/components/schemas/{message.name}"}


def schemas(messages: list[Descriptor]) -> dict[str, Schema]:
    """The schemas of messages and of all that they hold, by name."""
    found: dict[str, Schema] = {}
    waiting = list(messages)
    while waiting:
        message = waiting.pop()
        if message.name in found or message.GetOptions().map_entry:
            continue
        found[message.name] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {field.name: _field(field) for field in message.fields},
        }
        waiting += [field.message_type for field in message.fields if field.message_type]
    return found


def _field(field: Field) -> Schema:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _single(field.message_type.fields_by_name["value"])}
    return {"type": "array", "items": _single(field)} if field.is_repeated else _single(field)


def _single(field: Field) -> Schema:
    if field.message_type:
        return reference(field.message_type)
    if field.type in _INTEGERS:
        return {"type": "integer"}
    if field.type in _NUMBERS:
        return {"type": "number"}
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": "boolean"}
    if field.type == FieldDescriptor.TYPE_BYTES:
        return {"type": "string", "format": "byte", "description": "base64"}
    return {"type": "string"}
