"""The HTTP face: the contract's messages as JSON (pictures in base64) or as multipart uploads."""

import asyncio
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
from framelens_gateway.calls import Calls, Method, ReadRequest
from framelens_gateway.errors import GatewayError, InvalidRequest, Overloaded, TooLarge
from framelens_gateway.health import Health
from framelens_gateway.json_requests import message_of
from framelens_gateway.json_schema import reference, schemas
from framelens_gateway.metrics import Metrics
from framelens_gateway.page.paths import add_page
from framelens_gateway.settings import GatewaySettings

_TIMEOUT_HEADER = "x-timeout-ms"
_MULTIPART = "multipart/form-data"
_JSON = "application/json"
_JPEG = "image/jpeg"
# Messages of more bytes are read and written on a thread: they take longer than others should wait for.
_SMALL_BYTES = 2**18
# Of a call: its caller has hung up, or it is none.
_NEVER_ANSWERS = (Reason.CANCELLED, Reason.METHOD_NOT_ALLOWED)
_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["reason", "message"],
            "properties": {"reason": {"type": "string", "enum": list(Reason)}, "message": {"type": "string"}},
        }
    },
}


def http_app(settings: GatewaySettings, calls: Calls, health: Health, metrics: Metrics) -> FastAPI:
    """Every path of the HTTP face."""
    app = FastAPI(
        title="FrameLens",
        version="1",
        description="Finds the objects in a frame, and the same things in shops. The same shapes as framelens.v1.",
        # Calls are traced and counted alike on both faces, in Calls.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    face = _HttpFace(settings, calls)
    face.add_paths(app)
    add_page(app, settings.samples_dir)

    @app.get("/healthz", tags=["operations"], summary="The gateway itself is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["operations"], summary="Every part answers; 503 names the one that does not")
    async def readyz() -> JSONResponse:
        said = {"ready": health.ready, "parts": health.parts, "details": health.details}
        return JSONResponse(said, 200 if health.ready else 503)

    @app.get("/metrics", tags=["operations"], summary="Prometheus metrics")
    async def read_metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(GatewayError)
    async def failed(_: Request, error: GatewayError) -> JSONResponse:
        return _error_response(error)

    @app.exception_handler(HTTPException)
    async def unknown_path(_: Request, error: HTTPException) -> JSONResponse:
        reason = Reason.NOT_FOUND if error.status_code == HTTPStatus.NOT_FOUND else Reason.METHOD_NOT_ALLOWED
        body = _error_body(reason, f"{error.detail}; /docs lists the paths")
        return JSONResponse(body, STATUS_OF[reason][1], error.headers)

    _describe_contract(app, calls)
    return app


class _HttpFace:
    """Reads requests into messages, runs them, writes messages out."""

    def __init__(self, settings: GatewaySettings, calls: Calls) -> None:
        self._max_message_bytes = settings.max_message_bytes
        self._calls = calls

    def add_paths(self, app: FastAPI) -> None:
        for path, name, summary in (
            ("/v1/recognize", "Recognize", "Find the objects in a frame and the matches of each"),
            ("/v1/search-region", "SearchRegion", "Search exactly one region of a picture"),
            ("/v1/products", "UpsertProducts", "Add or replace products"),
            ("/v1/products:update", "UpdateProducts", "Change what products say, and leave their pictures alone"),
            ("/v1/products:delete", "DeleteProducts", "Delete products by id"),
            ("/v1/products:list", "ListProducts", "List products in the order of their ids"),
            ("/v1/trial", "StartTrial", "Try a candidate on live requests, in shadow or as a canary"),
            ("/v1/trial:stop", "StopTrial", "End the trial at once"),
        ):
            app.post(path, tags=["v1"], summary=summary, name=name, openapi_extra=self._body(name))(self._poster(name))

        @app.get("/v1/products/{product_id:path}", tags=["v1"], summary="One product", name="GetProduct")
        async def get_product(product_id: str, request: Request) -> Response:
            return await self._run("GetProduct", request, _given(pb.GetProductRequest(id=product_id)))

        @app.get("/v1/pictures/{picture_id:path}", tags=["v1"], summary="The crop behind a match", name="GetPicture")
        async def get_picture(picture_id: str, request: Request) -> Response:
            answer = await self._answer("GetPicture", request, _given(pb.GetPictureRequest(picture_id=picture_id)))
            return _picture_response(answer, picture_id, request)

        @app.get("/v1/trial", tags=["v1"], summary="The trial that is running, or the last one", name="GetTrial")
        async def get_trial(request: Request) -> Response:
            return await self._run("GetTrial", request, _given(pb.GetTrialRequest()))

    def _poster(self, name: str) -> Any:  # noqa: ANN401
        async def post(request: Request) -> Response:
            return await self._run(name, request, lambda: self._read(name, request))

        return post

    async def _run(self, name: str, request: Request, read_body: ReadRequest) -> Response:
        return await _json_response(await self._answer(name, request, read_body))

    async def _answer(self, name: str, request: Request, read_body: ReadRequest) -> Message:
        was_read = asyncio.Event()

        async def read() -> Message:
            try:
                _check_timeout(request)
                return await read_body()
            except ClientDisconnect:
                raise _HungUp from None
            finally:
                was_read.set()

        work = asyncio.ensure_future(self._calls.run(name, read, request.headers, _timeout_s(request)))
        gone = asyncio.ensure_future(_disconnected(request, was_read))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _HungUp
            return work.result()
        finally:
            gone.cancel()
            work.cancel()

    async def _read(self, name: str, request: Request) -> Message:
        """Raises InvalidRequest."""
        length, limit = request.headers.get("content-length", ""), self._max_body(name)
        if length.isdecimal() and int(length) > limit:
            raise TooLarge(name, limit)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        limited = Request(request.scope, _limited(request, name, limit))
        if kind == _MULTIPART:
            return await self._read_form(name, limited)
        if kind not in ("", _JSON):
            raise InvalidRequest(
                f"content-type {kind} is not read here; send {_JSON} or {_MULTIPART}", Reason.UNSUPPORTED_FORMAT
            )
        return await self._parse(name, await limited.body())

    def _max_body(self, name: str) -> int:
        """In base64 a picture is a third larger."""
        return min(self._calls.methods[name].lane.max_request_bytes * 4 // 3, self._max_message_bytes)

    async def _read_form(self, name: str, request: Request) -> Message:
        """`request` holds the JSON; pictures that it leaves out come, in order, as files named `picture`."""
        try:
            async with request.form(max_files=1024, max_part_size=2**20) as form:
                message = await self._parse(name, _request_text(form))
                await _fill_pictures(message, form)
                return message
        except HTTPException as error:
            raise InvalidRequest(f"the multipart body is broken: {error.detail}") from error

    async def _parse(self, name: str, body: bytes) -> Message:
        message = self._calls.methods[name].request()
        if len(body) <= _SMALL_BYTES:
            return message_of(body, message)
        return await asyncio.to_thread(message_of, body, message)

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


class _HungUp(GatewayError):
    def __init__(self) -> None:
        super().__init__(Reason.CANCELLED, "the caller has hung up")


def _limited(request: Request, name: str, limit: int) -> Receive:
    """The body's pieces, up to the limit: not every body says its length, or the truth about it."""
    left = limit

    async def receive() -> RequestMessage:
        nonlocal left
        message = await request.receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise TooLarge(name, limit)
        return message

    return receive


def _given(message: Message) -> ReadRequest:
    async def read() -> Message:
        return message

    return read


async def _disconnected(request: Request, was_read: asyncio.Event) -> None:
    """Returns when the caller hangs up. What comes before `was_read` is its body, and not to be taken here."""
    await was_read.wait()
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
        sent, left_out = _count(len(files), "file"), _count(len(empty), "picture")
        raise InvalidRequest(f"{sent} named `picture` for {left_out} that `request` leaves out")
    for holder, file in zip(empty, files, strict=True):
        holder.picture = await file.read()


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _picture_holders(message: Message) -> list[Any]:
    if isinstance(message, pb.UpsertProductsRequest):
        return [picture for product in message.products for picture in product.pictures]
    return [message] if isinstance(message, pb.RecognizeRequest | pb.SearchRegionRequest) else []


def _timeout_s(request: Request) -> float | None:
    """None also where what is given is no time."""
    try:
        milliseconds = float(request.headers.get(_TIMEOUT_HEADER, ""))
    except ValueError:
        return None
    return milliseconds / 1e3 if 0 < milliseconds < 1e9 else None


def _check_timeout(request: Request) -> None:
    """Raises InvalidRequest."""
    text = request.headers.get(_TIMEOUT_HEADER)
    if text is not None and _timeout_s(request) is None:
        raise InvalidRequest(f"{_TIMEOUT_HEADER} is {text!r}; it must be a number of milliseconds above 0")


async def _json_response(message: Message) -> JSONResponse:
    def response() -> JSONResponse:
        return JSONResponse(
            json_format.MessageToDict(
                message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        )

    return response() if message.ByteSize() <= _SMALL_BYTES else await asyncio.to_thread(response)


def _picture_response(answer: Any, picture_id: str, request: Request) -> Response:  # noqa: ANN401
    """An id is made from the picture's content, so that what it names never changes."""
    headers = {
        "etag": f'"{picture_id}"',
        "cache-control": "private, max-age=31536000, immutable",
        "vary": "authorization",
        "x-content-type-options": "nosniff",
    }
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(answer.picture, media_type=_JPEG, headers=headers)


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
            offered = [method for method in calls.methods.values() if isinstance(method, Method)]
            descriptors = [message.DESCRIPTOR for method in offered for message in (method.request, method.response)]
            components = document.setdefault("components", {}).setdefault("schemas", {})
            components.update({**schemas(descriptors), "Error": _ERROR_SCHEMA})
            for route in app.routes:
                method = calls.methods.get(getattr(route, "name", ""))
                if method is not None:
                    for operation in document["paths"][_plain_path(route)].values():
                        answer = _answer_schema(method)
                        operation["responses"]["200"]["content"] = answer
                        # FastAPI's own; a call that is wrong ends with 400 here.
                        operation["responses"].pop("422", None)
                        operation["responses"].update(_error_answers())
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _answer_schema(method: Method) -> dict[str, Any]:
    if method.name == "GetPicture":
        return {_JPEG: {"schema": {"type": "string", "format": "binary"}}}
    return {_JSON: {"schema": reference(method.response.DESCRIPTOR)}}


def _error_answers() -> dict[str, Any]:
    """By status, with the reasons that lead to it."""
    reasons: dict[int, list[str]] = {}
    for reason, (_, status) in sorted(STATUS_OF.items(), key=lambda item: item[1][1]):
        if reason not in _NEVER_ANSWERS:
            reasons.setdefault(status, []).append(reason)
    content = {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(int(status)): {"description": ", ".join(each), "content": content} for status, each in reasons.items()}


def _plain_path(route: Any) -> str:  # noqa: ANN401
    """OpenAPI writes `{product_id:path}` without its converter."""
    return str(route.path_format)
