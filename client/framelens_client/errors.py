"""Every way in which a call can fail, as seen by a caller.

FrameLensError             reason, message and code of the failure
├── InvalidRequest         the request itself is wrong: sending it again cannot help
│   ├── InvalidPicture     not a picture, an unsupported format, or too large
│   ├── InvalidVideo       not a video, an unsupported one, or too large
│   ├── InvalidRegion
│   ├── InvalidFilter
│   ├── InvalidProduct
│   └── InvalidPageToken
├── Unauthenticated        the bearer token is missing or wrong
├── NotFound
├── Overloaded             shed before any work was done; retry_after_s says when to come back
├── Unavailable            the gateway answers, a part behind it does not; `part` names it
├── Unreachable            the gateway itself does not answer
├── DeadlineExceeded
├── Cancelled
└── ServerFailed           a fault of the server

CatalogueError             a file of `framelens products import` cannot be used: catalogue, journal or report
"""

from collections.abc import Sequence
from typing import Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from framelens_client.reasons import ERROR_DOMAIN, STATUS_OF, Reason


class FrameLensError(Exception):
    """A call failed. `reason` is a Reason of the contract, or the gRPC code's name when the server gave none."""

    def __init__(self, message: str, *, reason: str, code: grpc.StatusCode, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.code = code
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.reason, self.code, self.retry_after_s)


class CatalogueError(Exception): ...


class InvalidRequest(FrameLensError): ...


class InvalidPicture(InvalidRequest): ...


class InvalidVideo(InvalidRequest): ...


class InvalidRegion(InvalidRequest): ...


class InvalidFilter(InvalidRequest): ...


class InvalidProduct(InvalidRequest): ...


class InvalidPageToken(InvalidRequest): ...


class Unauthenticated(FrameLensError): ...


class NotFound(FrameLensError): ...


class Overloaded(FrameLensError): ...


class Unavailable(FrameLensError):
    @property
    def part(self) -> str:
        """`triton`, `milvus`, or `space` when the embedding space of an alias is not served."""
        return self.reason.partition("_")[0].lower()


class Unreachable(FrameLensError): ...


class DeadlineExceeded(FrameLensError): ...


class Cancelled(FrameLensError): ...


class ServerFailed(FrameLensError): ...


_CLASS_OF_REASON: dict[Reason, type[FrameLensError]] = {
    Reason.INVALID_ARGUMENT: InvalidRequest,
    Reason.INVALID_FILTER: InvalidFilter,
    Reason.INVALID_PAGE_TOKEN: InvalidPageToken,
    Reason.INVALID_PICTURE: InvalidPicture,
    Reason.INVALID_PRODUCT: InvalidProduct,
    Reason.INVALID_REGION: InvalidRegion,
    Reason.INVALID_VIDEO: InvalidVideo,
    Reason.PICTURE_TOO_LARGE: InvalidPicture,
    Reason.VIDEO_TOO_LARGE: InvalidVideo,
    Reason.UNSUPPORTED_FORMAT: InvalidPicture,
    Reason.UNAUTHENTICATED: Unauthenticated,
    Reason.NOT_FOUND: NotFound,
    Reason.METHOD_NOT_ALLOWED: InvalidRequest,
    Reason.OVERLOADED: Overloaded,
    Reason.TRITON_UNAVAILABLE: Unavailable,
    Reason.MILVUS_UNAVAILABLE: Unavailable,
    Reason.SPACE_NOT_LOADED: Unavailable,
    Reason.SPACE_MISMATCH: Unavailable,
    Reason.DEADLINE_EXCEEDED: DeadlineExceeded,
    Reason.CANCELLED: Cancelled,
    Reason.INTERNAL: ServerFailed,
}

# For failures that carry no reason: gRPC's own, and those of proxies in between.
_CLASS_OF_CODE: dict[grpc.StatusCode, type[FrameLensError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Unauthenticated,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unreachable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
}

_STATUS_DETAILS_KEY = "grpc-status-details-bin"
# gRPC core's words when a message passes a size limit; the code is RESOURCE_EXHAUSTED, as for overload.
_TOO_LARGE = "message larger than max"


class FailedCall(Protocol):
    """What grpc.RpcError and grpc.aio.AioRpcError have in common."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Sequence[tuple[str, str | bytes]] | None: ...


def of_call(call: FailedCall) -> FrameLensError:
    """The typed error of a failed gRPC call, sync or async."""
    code, message = call.code(), call.details() or ""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in _status(call).details:
        detail.Unpack(info)
        detail.Unpack(retry)
    retry_after_s = retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None
    if info.domain == ERROR_DOMAIN and info.reason in Reason.__members__:
        kind = _CLASS_OF_REASON[Reason(info.reason)]
        return kind(message, reason=info.reason, code=code, retry_after_s=retry_after_s)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in message:
        return InvalidRequest(message, reason=code.name, code=code)
    kind = _CLASS_OF_CODE.get(code, ServerFailed)
    return kind(message or code.name, reason=info.reason or code.name, code=code, retry_after_s=retry_after_s)


def of_reason(reason: str, message: str, retry_after_s: float | None = None) -> FrameLensError:
    """The typed error of one row of a batch or frame of a stream; reasons of a newer server count as its failure."""
    if reason not in Reason.__members__:
        return ServerFailed(message, reason=reason, code=grpc.StatusCode.UNKNOWN, retry_after_s=retry_after_s)
    known = Reason(reason)
    kind = _CLASS_OF_REASON[known]
    return kind(message, reason=reason, code=STATUS_OF[known][0], retry_after_s=retry_after_s)


def _status(call: FailedCall) -> status_pb2.Status:
    for key, value in call.trailing_metadata() or ():
        if key == _STATUS_DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:  # a proxy's; the code and the message still say what happened
                break
    return status_pb2.Status()


def _rebuild(
    kind: type[FrameLensError], message: str, reason: str, code: grpc.StatusCode, retry_after_s: float | None
) -> FrameLensError:
    return kind(message, reason=reason, code=code, retry_after_s=retry_after_s)
