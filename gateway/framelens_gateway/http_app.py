"""The HTTP face: the contract's messages as JSON (pictures in base64) or as multipart uploads."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from google.protobuf.message import Message
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from framelens_client.reasons import STATUS_OF, Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.calls import Calls, Method, ReadRequest
from framelens_gateway.errors import GatewayError, InvalidRequest, TooLarge
from framelens_gateway.health import Health
from framelens_gateway.http_answers import (
    JPEG,
    SMALL_BYTES,
    error_body,
    error_response,
    json_response,
    picture_response,
)
from framelens_gateway.http_bodies import TIMEOUT_HEADER, check_timeout, limited, timeout_s
from framelens_gateway.http_videos import add_video_upload
from framelens_gateway.json_requests import message_of
from framelens_gateway.json_schema import reference, schemas
from framelens_gateway.metrics import Metrics
from framelens_gateway.page.paths import add_page
from framelens_gateway.settings import GatewaySettings

_MULTIPART = "multipart/form-data"
_JSON = "application/json"
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
    add_video_upload(app, calls, settings.max_video_bytes, settings.read_timeout_s)
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
        return error_response(error)

    @app.exception_handler(HTTPException)
    async def unknown_path(_: Request, error: HTTPException) -> JSONResponse:
        reason = Reason.NOT_FOUND if error.status_code == HTTPStatus.NOT_FOUND else Reason.METHOD_NOT_ALLOWED
        body = error_body(reason, f"{error.detail}; /docs lists the paths")
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
            ("/v1/moments:batch", "BatchGetMoments", "When to offer recognition in several videos"),
            ("/v1/videos:list", "ListVideos", "List videos in the order of their ids"),
            ("/v1/videos:delete", "DeleteVideo", "Delete a video and all that is stored of it"),
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
            return picture_response(answer, picture_id, request)

        @app.get("/v1/moments/{video_id:path}", tags=["v1"], summary="When to offer recognition", name="GetMoments")
        async def get_moments(video_id: str, request: Request) -> Response:
            return await self._run("GetMoments", request, _given(pb.GetMomentsRequest(video_id=video_id)))

        @app.get("/v1/videos/{video_id:path}", tags=["v1"], summary="One video", name="GetVideo")
        async def get_video(video_id: str, request: Request) -> Response:
            return await self._run("GetVideo", request, _given(pb.GetVideoRequest(id=video_id)))

        @app.get("/v1/trial", tags=["v1"], summary="The trial that is running, or the last one", name="GetTrial")
        async def get_trial(request: Request) -> Response:
            return await self._run("GetTrial", request, _given(pb.GetTrialRequest()))

    def _poster(self, name: str) -> Any:  # noqa: ANN401
        async def post(request: Request) -> Response:
            return await self._run(name, request, lambda: self._read(name, request))

        return post

    async def _run(self, name: str, request: Request, read_body: ReadRequest) -> Response:
        return await json_response(await self._answer(name, request, read_body))

    async def _answer(self, name: str, request: Request, read_body: ReadRequest) -> Message:
        was_read = asyncio.Event()

        async def read() -> Message:
            try:
                check_timeout(request)
                return await read_body()
            except ClientDisconnect:
                raise _HungUp from None
            finally:
                was_read.set()

        work = asyncio.ensure_future(self._calls.run(name, read, request.headers, timeout_s(request)))
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
        body = Request(request.scope, limited(request, name, limit))
        if kind == _MULTIPART:
            return await self._read_form(name, body)
        if kind not in ("", _JSON):
            raise InvalidRequest(
                f"content-type {kind} is not read here; send {_JSON} or {_MULTIPART}", Reason.UNSUPPORTED_FORMAT
            )
        return await self._parse(name, await body.body())

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
        if len(body) <= SMALL_BYTES:
            return message_of(body, message)
        return await asyncio.to_thread(message_of, body, message)

    def _body(self, name: str) -> dict[str, Any]:
        message = self._calls.methods[name].request.DESCRIPTOR
        content: dict[str, Any] = {_JSON: {"schema": reference(message)}}
        if name in ("Recognize", "SearchRegion", "UpsertProducts"):
            content[_MULTIPART] = {"schema": _form_schema(name)}
        header = {
            "name": TIMEOUT_HEADER,
            "in": "header",
            "required": False,
            "schema": {"type": "number"},
            "description": "The caller's deadline in milliseconds",
        }
        return {"requestBody": {"required": True, "content": content}, "parameters": [header]}


class _HungUp(GatewayError):
    def __init__(self) -> None:
        super().__init__(Reason.CANCELLED, "the caller has hung up")


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
            descriptors += [pb.IndexVideoHeader.DESCRIPTOR, pb.IndexVideoProgress.DESCRIPTOR]
            components = document.setdefault("components", {}).setdefault("schemas", {})
            components.update({**schemas(descriptors), "Error": _ERROR_SCHEMA})
            for route in app.routes:
                method = calls.methods.get(getattr(route, "name", ""))
                if method is not None:
                    for operation in document["paths"][_plain_path(route)].values():
                        if isinstance(method, Method):
                            operation["responses"]["200"]["content"] = _answer_schema(method)
                        # FastAPI's own; a call that is wrong ends with 400 here.
                        operation["responses"].pop("422", None)
                        operation["responses"].update(_error_answers())
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _answer_schema(method: Method) -> dict[str, Any]:
    if method.name == "GetPicture":
        return {JPEG: {"schema": {"type": "string", "format": "binary"}}}
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
