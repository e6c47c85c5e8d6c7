"""The schemas say what the contract says."""

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.json_schema import reference, schemas

MESSAGES = list(pb.DESCRIPTOR.message_types_by_name.values())
KINDS = {
    FieldDescriptor.TYPE_BOOL: "boolean",
    FieldDescriptor.TYPE_INT32: "integer",
    FieldDescriptor.TYPE_FLOAT: "number",
    FieldDescriptor.TYPE_DOUBLE: "number",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "string",
}
METHODS = [method for service in pb.DESCRIPTOR.services_by_name.values() for method in service.methods]


def test_every_message_that_a_method_needs_has_a_schema() -> None:
    found = schemas([kind for method in METHODS for kind in (method.input_type, method.output_type)])
    assert set(found) == {message.name for message in MESSAGES}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_a_schema_has_exactly_the_fields(message: Any) -> None:
    schema = schemas([message])[message.name]
    assert list(schema["properties"]) == [field.name for field in message.fields]
    assert schema["additionalProperties"] is False
    for field in message.fields:
        said = schema["properties"][field.name]
        if field.message_type and field.message_type.GetOptions().map_entry:
            assert said == {"type": "object", "additionalProperties": {"type": "number"}}
            continue
        if field.is_repeated:
            assert said["type"] == "array"
            said = said["items"]
        if field.message_type:
            assert said == reference(field.message_type)
        else:
            assert said["type"] == KINDS[field.type]
