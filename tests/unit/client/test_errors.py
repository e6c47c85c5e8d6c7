import pickle
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from framelens_client import Client, errors
from framelens_client.reasons import STATUS_OF, Reason
from framelens_client.settings import NO_RETRIES

EXPECTED = {
    "INVALID_ARGUMENT": errors.InvalidRequest,
    "INVALID_FILTER": errors.InvalidFilter,
    "INVALID_PAGE_TOKEN": errors.InvalidPageToken,
    "INVALID_PICTURE": errors.InvalidPicture,
    "INVALID_PRODUCT": errors.InvalidProduct,
    "INVALID_REGION": errors.InvalidRegion,
    "INVALID_VIDEO": errors.InvalidVideo,
    "VIDEO_TOO_LARGE": errors.InvalidVideo,
    "PICTURE_TOO_LARGE": errors.InvalidPicture,
    "UNSUPPORTED_FORMAT": errors.InvalidPicture,
    "UNAUTHENTICATED": errors.Unauthenticated,
    "NOT_FOUND": errors.NotFound,
    "METHOD_NOT_ALLOWED": errors.InvalidRequest,
    "OVERLOADED": errors.Overloaded,
    "TRITON_UNAVAILABLE": errors.Unavailable,
    "MILVUS_UNAVAILABLE": errors.Unavailable,
    "SPACE_NOT_LOADED": errors.Unavailable,
    "SPACE_MISMATCH": errors.Unavailable,
    "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
    "CANCELLED": errors.Cancelled,
    "INTERNAL": errors.ServerFailed,
}


def failed_call(gateway: Any) -> errors.FrameLensError:
    with Client(gateway.address, retries=NO_RETRIES) as client, pytest.raises(errors.FrameLensError) as raised:
        client.recognize(b"picture")
    return raised.value


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_its_class(gateway: Any, fail: Callable[..., Any], reason: Reason) -> None:
    code = STATUS_OF[reason][0]
    gateway.failures.append(fail(code, reason, "what is wrong"))
    error = failed_call(gateway)
    assert type(error) is EXPECTED[reason]
    assert (error.reason, error.message, error.code) == (reason, "what is wrong", code)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.Unreachable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Overloaded),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.DeadlineExceeded),
        (grpc.StatusCode.PERMISSION_DENIED, errors.Unauthenticated),
        (grpc.StatusCode.UNIMPLEMENTED, errors.ServerFailed),
    ],
)
def test_a_failure_without_a_reason_goes_by_its_code(
    gateway: Any, fail: Callable[..., Any], code: grpc.StatusCode, kind: type[errors.FrameLensError]
) -> None:
    gateway.failures.append(fail(code))
    error = failed_call(gateway)
    assert type(error) is kind
    assert error.reason == code.name


def test_retry_after_is_read(gateway: Any, fail: Callable[..., Any]) -> None:
    gateway.failures.append(fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=1.25))
    assert failed_call(gateway).retry_after_s == 1.25


@pytest.mark.parametrize(
    ("reason", "part"),
    [("TRITON_UNAVAILABLE", "triton"), ("MILVUS_UNAVAILABLE", "milvus"), ("SPACE_MISMATCH", "space")],
)
def test_unavailable_names_the_part(reason: str, part: str) -> None:
    error = errors.of_reason(reason, "down")
    assert isinstance(error, errors.Unavailable)
    assert error.part == part


def test_a_message_too_large_for_the_server_is_no_overload(gateway: Any) -> None:
    with Client(gateway.address) as client, pytest.raises(errors.InvalidRequest, match="larger than max"):
        client.recognize(b"x" * (33 * 2**20))
    assert gateway.calls == []


def test_a_reason_of_a_newer_server_counts_as_its_failure() -> None:
    error = errors.of_reason("SOMETHING_NEW", "what")
    assert type(error) is errors.ServerFailed
    assert error.reason == "SOMETHING_NEW"


def test_errors_can_cross_processes() -> None:
    error = pickle.loads(pickle.dumps(errors.of_reason("OVERLOADED", "busy")))  # noqa: S301
    assert (type(error), error.reason, str(error)) == (errors.Overloaded, "OVERLOADED", "busy")
