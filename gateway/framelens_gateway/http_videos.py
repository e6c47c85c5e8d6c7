"""Videos over HTTP: an upload whose answer is a line of JSON for each piece of progress."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from google.protobuf.message import Message
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message as RequestMessage
from starlette.types import Receive

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.calls import Calls
from framelens_gateway.errors import GatewayError, InvalidRequest, NotArrived
from framelens_gateway.http_answers import as_json, error_body
from framelens_gateway.http_bodies import check_timeout, limited, timeout_s
from framelens_gateway.json_requests import message_of
from framelens_gateway.json_schema import reference

_NAME = "IndexVideo"
_LINES = "application/x-ndjson"
_CHUNK_BYTES = 2**20
# Of a form, beside its file.
_BESIDE_BYTES = 2**20


def add_video_upload(app: FastAPI, calls: Calls, max_video_bytes: int, read_timeout_s: float) -> None:
    """`POST /v1/videos`: a form with the header as `request` and the file as `video`, or the header alone in JSON."""

    summary = "Index a video; progress comes as lines of JSON"

    @app.post("/v1/videos", tags=["v1"], summary=summary, name=_NAME, openapi_extra=_BODY)
    async def index_video(request: Request) -> StreamingResponse:
        check_timeout(request)
        upload = _Upload(calls, request, max_video_bytes, read_timeout_s)
        try:
            await upload.begin()
        except BaseException:
            await upload.close()
            raise
        return StreamingResponse(upload.lines(), media_type=_LINES)


class _Upload:
    """One call of IndexVideo; what fails before its first answer is an error of the whole request."""

    def __init__(self, calls: Calls, request: Request, max_video_bytes: int, read_timeout_s: float) -> None:
        self._request, self._max_bytes = request, max_video_bytes + _BESIDE_BYTES
        self._read_timeout_s = read_timeout_s
        # One: the work waits for whoever reads.
        self._answers: asyncio.Queue[Message | None] = asyncio.Queue(1)
        self._first: Message | None = None
        self._work = asyncio.ensure_future(self._run(calls))

    async def begin(self) -> None:
        """Raises GatewayError."""
        self._first = await self._answers.get()
        if self._first is None:
            await self._work

    async def lines(self) -> AsyncIterator[bytes]:
        try:
            answer = self._first
            while answer is not None:
                yield _line(as_json(answer))
                answer = await self._answers.get()
            if error := self._work.exception():
                yield _line(_said(error))
        finally:
            await self.close()

    async def close(self) -> None:
        self._work.cancel()
        with suppress(asyncio.CancelledError, GatewayError):
            await self._work

    async def _run(self, calls: Calls) -> None:
        try:
            requests = self._requests()
            headers = self._request.headers
            await calls.stream(_NAME, requests, headers, timeout_s(self._request), self._answers.put)
        finally:
            await self._answers.put(None)

    async def _requests(self) -> AsyncIterator[Message]:
        """Raises InvalidRequest."""
        kind = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = Request(self._request.scope, self._timed(limited(self._request, _NAME, self._max_bytes)))
        try:
            if kind != "multipart/form-data":
                yield pb.IndexVideoRequest(header=message_of(await body.body(), pb.IndexVideoHeader()))
                return
            async with body.form(max_files=1, max_part_size=_BESIDE_BYTES) as form:
                video, header = form.get("video"), form.get("request")
                if not isinstance(video, UploadFile) or not isinstance(header, str) or len(form) != 2:
                    raise InvalidRequest("the form needs a file `video` and a text field `request`, and nothing else")
                yield pb.IndexVideoRequest(header=message_of(header.encode(), pb.IndexVideoHeader()))
                while chunk := await video.read(_CHUNK_BYTES):
                    yield pb.IndexVideoRequest(chunk=chunk)
        except HTTPException as error:
            raise InvalidRequest(f"the multipart body is broken: {error.detail}") from error
        except ClientDisconnect:
            raise GatewayError(Reason.CANCELLED, "the caller has hung up") from None

    def _timed(self, receive: Receive) -> Receive:
        """An upload may take long, but no piece of it: a caller that stalls would keep others out."""

        async def next_piece() -> RequestMessage:
            try:
                async with asyncio.timeout(self._read_timeout_s):
                    return await receive()
            except TimeoutError as error:
                raise NotArrived(self._read_timeout_s) from error

        return next_piece


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _said(error: BaseException) -> dict[str, Any]:
    """`Calls.stream` raises nothing else."""
    if not isinstance(error, GatewayError):
        raise error
    return error_body(error.reason, error.message)


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["request", "video"],
                    "properties": {
                        "request": {"type": "string", "description": "IndexVideoHeader in JSON"},
                        "video": {"type": "string", "format": "binary"},
                    },
                }
            },
            "application/json": {"schema": reference(pb.IndexVideoHeader.DESCRIPTOR)},
        },
    },
    "responses": {
        "200": {
            "description": "A line for each IndexVideoProgress; the last has state stored or unchanged, or is an error",
            "content": {_LINES: {"schema": reference(pb.IndexVideoProgress.DESCRIPTOR)}},
        }
    },
}
