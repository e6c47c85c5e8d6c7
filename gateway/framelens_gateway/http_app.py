"""The HTTP face: the contract's messages as JSON (pictures in base64) or as multipart uploads."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from google.protobuf import json_format
from google.protobuf.message import Message
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message as RequestMessage
from starlette.types import Receive

from framelens_client.reasons import STATUS_OF, Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.calls import Calls
from framelens_gateway.errors import GatewayError, InvalidRequest, Overloaded
from framelens_gateway.health import Health
from framelens_gateway.json_schema import reference, schemas
from framelens_gateway.metrics import Metrics
from framelens_gateway.settings import GatewaySettings

_TIMEOUT_HEADER = "x-timeout-ms"
_MULTIPART = "multipart/form-data"
_JSON = "application/json"
_CLIENT_GONE = 499


def http_app(settings: GatewaySettings, calls: Calls, health: Health, metrics: Metrics) -> FastAPI:
    """Every path of the HTTP face."""
    app = FastAPI(
        title="FrameLens",
        version="1",
        description="Finds the objects in a frame, and the same things in shops. The same shapes as framelens.v1.",
    )
    face = _HttpFace(settings, calls)
    face.add_paths(app)

    @app.get("/healthz", tags=["operations"], summary="The gateway itself is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["operations"], summary="Every part answers; 503 names the one that does not")
    async def readyz() -> JSONResponse:
        return JSONResponse({"ready": health.ready, "parts": health.parts}, 200 if health.ready else 503)

    @app.get("/metrics", tags=["operations"], summary="Prometheus metrics")
    async def read_metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(GatewayError)
    async def failed(_: Request, error: GatewayError) -> JSONResponse:
        return _error_response(error)

    @app.exception_handler(HTTPException)
    async def unknown_path(_: Request, error: HTTPException) -> JSONResponse:
        reason = Reason.NOT_FOUND if error.status_code == HTTPStatus.NOT_FOUND else Reason.INVALID_ARGUMENT
        return JSONResponse(_error_body(reason, f"{error.detail}; /docs lists the paths"), error.status_code)

    @app.exception_handler(ClientDisconnect)
    async def hung_up(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=_CLIENT_GONE)

    _describe_contract(app, calls)
    return app


class _HttpFace:
    """Reads requests into messages, runs them, writes messages out."""

    def __init__(self, settings: GatewaySettings, calls: Calls) -> None:
        self._max_body = settings.max_message_bytes
        self._calls = calls

    def add_paths(self, app: FastAPI) -> None:
        for path, name, summary in (
            ("/v1/recognize", "Recognize", "Find the objects in a frame and the matches of each"),
            ("/v1/search-region", "SearchRegion", "Search exactly one region of a picture"),
            ("/v1/products", "UpsertProducts", "Add or replace products"),
            ("/v1/products:delete", "DeleteProducts", "Delete products by id"),
            ("/v1/products:list", "ListProducts", "List products in the order of their ids"),
        ):
            app.post(path, tags=["v1"], summary=summary, name=name, openapi_extra=self._body(name))(self._poster(name))

        @app.get("/v1/products/{product_id:path}", tags=["v1"], summary="One product", name="GetProduct")
        async def get_product(product_id: str, request: Request) -> Response:
            return await self._run("GetProduct", pb.GetProductRequest(id=product_id), request)

    def _poster(self, name: str) -> Any:  # noqa: ANN401
        async def post(request: Request) -> Response:
            return await self._run(name, await self._read(name, request), request)

        return post

    async def _run(self, name: str, message: Message, request: Request) -> Response:
        work = asyncio.ensure_future(
            self._calls.run(name, message, request.headers.get("authorization"), _timeout_s(request))
        )
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return Response(status_code=_CLIENT_GONE)
            return JSONResponse(_to_json(work.result()))
        finally:
            gone.cancel()
            work.cancel()

    async def _read(self, name: str, request: Request) -> Message:
        """Raises InvalidRequest."""
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_body:
            raise self._too_large()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        limited = Request(request.scope, self._limited(request))
        if kind == _MULTIPART:
            return await self._read_form(name, limited)
        if kind not in ("", _JSON):
            raise InvalidRequest(
                f"content-type {kind} is not read here; send {_JSON} or {_MULTIPART}", Reason.UNSUPPORTED_FORMAT
            )
        return self._parse(name, await limited.body())

    def _limited(self, request: Request) -> Receive:
        """The body's pieces, up to the limit: not every body says its length, or the truth about it."""
        left = self._max_body

        async def receive() -> RequestMessage:
            nonlocal left
            message = await request.receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise self._too_large()
            return message

        return receive

    def _too_large(self) -> InvalidRequest:
        return InvalidRequest(f"the body is larger than {self._max_body} bytes", Reason.PICTURE_TOO_LARGE)

    async def _read_form(self, name: str, request: Request) -> Message:
        """`request` holds the JSON; pictures that it leaves out come, in order, as files named `picture`."""
        try:
            async with request.form(max_files=1024, max_part_size=2**20) as form:
                message = self._parse(name, _request_text(form))
                await _fill_pictures(message, form)
                return message
        except HTTPException as error:
            raise InvalidRequest(f"the multipart body is broken: {error.detail}") from error

    def _parse(self, name: str, body: bytes) -> Message:
        message = self._calls.methods[name].request()
        try:
            read = json.loads(body)
            if not isinstance(read, dict):
                raise InvalidRequest("the body is JSON, but not an object")
            return json_format.ParseDict(read, message)
        # SystemError is protobuf's answer to a field name with half a character in it.
        except (json_format.ParseError, ValueError, RecursionError, SystemError) as error:
            reason = Reason.INVALID_FILTER if ".filter" in str(error) else Reason.INVALID_ARGUMENT
            raise InvalidRequest(f"the body is not a {message.DESCRIPTOR.name} in JSON: {error}", reason) from error

    def _body(self, name: str) -> dict[str, Any]:
        message = self._calls.methods[name].request.DESCRIPTOR
        content: dict[str, Any] = {_JSON: {"schema": reference(message)}}
        if name in ("Recognize", "SearchRegion", "UpsertProducts"):
            content[_MULTIPART] = {"schema": _form_schema(name)}
        header = {
            "name": _TIMEOUT_HEADER,
            "in": "header",
            "required": False,
            "schema": {"type": "number"},
            "description": "The caller's deadline in milliseconds",
        }
        return {"requestBody": {"required": True, "content": content}, "parameters": [header]}


async def _disconnected(request: Request) -> None:
    """Returns when the caller hangs up; its body has been read by then."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _request_text(form: FormData) -> bytes:
    """Raises InvalidRequest."""
    unknown = sorted(set(form) - {"request", "picture"})
    if unknown:
        raise InvalidRequest(f"the form has unknown parts {', '.join(unknown)}; send `picture` and `request`")
    text = form.get("request", "{}")
    if not isinstance(text, str):
        raise InvalidRequest("the form's `request` is a file; send it as a text field")
    return text.encode()


async def _fill_pictures(message: Message, form: FormData) -> None:
    """Raises InvalidRequest where files and empty pictures don't pair up."""
    files = [part for part in form.getlist("picture") if isinstance(part, UploadFile)]
    if len(files) != len(form.getlist("picture")):
        raise InvalidRequest("the form's `picture` is a text field; send it as a file")
    empty = [holder for holder in _picture_holders(message) if not holder.picture]
    if len(files) != len(empty):
        raise InvalidRequest(f"{len(files)} files named `picture` for {len(empty)} pictures that `request` leaves out")
    for holder, file in zip(empty, files, strict=True):
        holder.picture = await file.read()


def _picture_holders(message: Message) -> list[Any]:
    if isinstance(message, pb.UpsertProductsRequest):
        return [picture for product in message.products for picture in product.pictures]
    return [message] if isinstance(message, pb.RecognizeRequest | pb.SearchRegionRequest) else []


def _timeout_s(request: Request) -> float | None:
    """Raises InvalidRequest."""
    text = request.headers.get(_TIMEOUT_HEADER)
    if text is None:
        return None
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = -1
    if not 0 < milliseconds < 1e9:
        raise InvalidRequest(f"{_TIMEOUT_HEADER} is {text!r}; it must be a number of milliseconds above 0")
    return milliseconds / 1e3


def _to_json(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _error_response(error: GatewayError) -> JSONResponse:
    """{"error": {"reason", "message"}} with the reason's status."""
    _, status = STATUS_OF[error.reason]
    headers = {}
    if isinstance(error, Overloaded):
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if error.reason is Reason.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(_error_body(error.reason, error.message), status, headers)


def _error_body(reason: Reason, message: str) -> dict[str, Any]:
    """JSON may bring half characters, which no answer can carry: they are shown as `?`."""
    return {"error": {"reason": reason, "message": message.encode(errors="replace").decode()}}


def _form_schema(name: str) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    picture = {"type": "array", "items": file} if name == "UpsertProducts" else file
    return {
        "type": "object",
        "required": ["picture"],
        "properties": {
            "picture": picture,
            "request": {"type": "string", "description": f"{name}Request in JSON, without its pictures"},
        },
    }


def _describe_contract(app: FastAPI, calls: Calls) -> None:
    """Puts the contract's messages into the OpenAPI document, as schemas of bodies and answers."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            descriptors = [m.DESCRIPTOR for method in calls.methods.values() for m in (method.request, method.response)]
            document.setdefault("components", {}).setdefault("schemas", {}).update(schemas(descriptors))
            for route in app.routes:
                method = calls.methods.get(getattr(route, "name", ""))
                if method is not None:
                    for operation in document["paths"][_plain_path(route)].values():
                        answer = {_JSON: {"schema": reference(method.response.DESCRIPTOR)}}
                        operation["responses"]["200"]["content"] = answer
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _plain_path(route: Any) -> str:  # noqa: ANN401
    """OpenAPI writes `{product_id:path}` without its converter."""
    return str(route.path_format)
