"""Messages of the contract, and errors, as JSON."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from google.protobuf import json_format
from google.protobuf.message import Message

from framelens_client.reasons import STATUS_OF, Reason
from framelens_gateway.errors import GatewayError, Overloaded

# Messages of more bytes are read and written on a thread: they take longer than others should wait for.
SMALL_BYTES = 2**18
JPEG = "image/jpeg"


def as_json(message: Message) -> dict[str, Any]:
    """With the contract's field names; what has no presence is there even when it is empty."""
    return dict(
        json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )


async def json_response(message: Message) -> JSONResponse:
    def response() -> JSONResponse:
        return JSONResponse(as_json(message))

    return response() if message.ByteSize() <= SMALL_BYTES else await asyncio.to_thread(response)


def error_response(error: GatewayError) -> JSONResponse:
    """{"error": {"reason", "message"}} with the reason's status."""
    _, status = STATUS_OF[error.reason]
    headers = {}
    if isinstance(error, Overloaded):
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if error.reason is Reason.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(error_body(error.reason, error.message), status, headers)


def error_body(reason: Reason, message: str) -> dict[str, Any]:
    """JSON may bring half characters, which no answer can carry: they are shown as `?`."""
    return {"error": {"reason": reason, "message": message.encode(errors="replace").decode()}}


def picture_response(answer: Any, picture_id: str, request: Request) -> Response:  # noqa: ANN401
    """An id is made from the picture's content, so that what it names never changes."""
    headers = {
        "etag": f'"{picture_id}"',
        "cache-control": "private, max-age=31536000, immutable",
        "vary": "authorization",
        "x-content-type-options": "nosniff",
    }
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(answer.picture, media_type=JPEG, headers=headers)
