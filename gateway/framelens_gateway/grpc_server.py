"""The gRPC face: framelens.v1, standard health and reflection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from framelens_client.reasons import ERROR_DOMAIN, STATUS_OF
from framelens_gateway.addresses import host_port
from framelens_gateway.calls import Calls, Method, StreamingMethod
from framelens_gateway.errors import GatewayError, InvalidRequest, Overloaded, TooLarge
from framelens_gateway.health import Health
from framelens_gateway.settings import GatewaySettings

_MESSAGE_BYTES = 1024
# A caller that is gone looks, until its call is cancelled, like one that has sent all.
_HANGING_UP_S = 0.001

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Message, Message]


def grpc_server(settings: GatewaySettings, calls: Calls, health: Health) -> grpc.aio.Server:
    """A server that listens once started. Raises OSError where the port is taken."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            ("grpc.so_reuseport", 0),
            # Feed services ping to keep idle connections; without this the server would hang up on them.
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
            # A caller that has vanished without a word would keep its stream's permit for hours.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
        ]
    )
    services = sorted({method.service for method in calls.methods.values()})
    for service in services:
        handlers = {m.name: _handler(calls, m) for m in calls.methods.values() if m.service == service}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    reflection.enable_server_reflection((*services, HEALTH_SERVICE, reflection.SERVICE_NAME), server)
    address = host_port(settings.host, settings.grpc_port)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"gRPC cannot listen on {address}; is the port taken?") from error
    return server


def _handler(calls: Calls, method: Method | StreamingMethod) -> "grpc.RpcMethodHandler[Message, Message]":
    if isinstance(method, StreamingMethod):
        return grpc.stream_stream_rpc_method_handler(
            _streaming_behaviour(calls, method), response_serializer=method.response.SerializeToString
        )
    # A unary method, but served as one that takes a stream: gRPC would read the request before anybody is asked.
    return grpc.stream_unary_rpc_method_handler(
        _behaviour(calls, method), response_serializer=method.response.SerializeToString
    )


def _behaviour(calls: Calls, method: Method) -> "Callable[[AsyncIterator[bytes], Context], Awaitable[Message]]":
    async def behave(requests: AsyncIterator[bytes], context: "Context") -> Message:
        async def read() -> Message:
            async for content in requests:
                return _parsed(content, method)
            raise InvalidRequest(f"the call brings no {method.request.DESCRIPTOR.name}")

        try:
            return await calls.run(method.name, read, _headers(context), context.time_remaining())
        except GatewayError as error:
            await _abort(context, error)

    return behave


def _streaming_behaviour(
    calls: Calls, method: StreamingMethod
) -> "Callable[[AsyncIterator[bytes], Context], Awaitable[None]]":
    async def behave(requests: AsyncIterator[bytes], context: "Context") -> None:
        messages = _messages(requests, method)
        try:
            await calls.stream(method.name, messages, _headers(context), context.time_remaining(), context.write)
        except GatewayError as error:
            await _abort(context, error)

    return behave


def _headers(context: "Context") -> dict[str, str]:
    return dict(context.invocation_metadata() or ())


async def _abort(context: "Context", error: GatewayError) -> NoReturn:
    await context.abort_with_status(rpc_status.to_status(error_status(error)))  # type: ignore[attr-defined]
    raise AssertionError("abort_with_status raises") from error


async def _messages(requests: AsyncIterator[bytes], method: StreamingMethod) -> AsyncIterator[Message]:
    """Each is read and parsed when it is asked for. Raises InvalidRequest."""
    async for content in requests:
        yield _parsed(content, method)
    await asyncio.sleep(_HANGING_UP_S)


def _parsed(content: bytes, method: Method | StreamingMethod) -> Message:
    """Raises InvalidRequest."""
    if len(content) > method.lane.max_request_bytes:
        raise TooLarge(method.name, method.lane.max_request_bytes)
    try:
        return method.request.FromString(content)
    except DecodeError as error:
        raise InvalidRequest(f"the request is not a {method.request.DESCRIPTOR.name}: {error}") from error


def error_status(error: GatewayError) -> status_pb2.Status:
    """google.rpc.Status with ErrorInfo and, for shed calls, RetryInfo."""
    code, _ = STATUS_OF[error.reason]
    status = status_pb2.Status(code=code.value[0], message=_shortened(error.message))
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN))
    if isinstance(error, Overloaded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(error.retry_after_s * 1e3))
        status.details.add().Pack(retry)
    return status


def _shortened(message: str) -> str:
    """It travels twice in the trailers, percent-encoded and in base64, and gRPC drops trailers above 8 KiB."""
    return (
        message
        if len(message.encode()) <= _MESSAGE_BYTES
        else f"{message.encode()[:_MESSAGE_BYTES].decode(errors='ignore')}…"
    )
