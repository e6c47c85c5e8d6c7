"""How a call can fail, once for both faces.

GatewayError             reason, message; its two statuses stand in framelens_client.reasons
├── InvalidRequest       the caller must change something
│   └── TooLarge         it sends more than the method takes
├── Unauthenticated      no or a wrong token
├── NotFound             no such product
├── Overloaded           shed; `retry_after_s` says when to come back
├── Unavailable          Triton, Milvus or a space is not there; the message says which
├── DeadlineExceeded     the caller's time is over
├── NotArrived           the caller has not sent its request in time
└── InternalError        a fault of the gateway itself; its log has the details
"""

from framelens_client.reasons import Reason


class GatewayError(Exception):
    """A call that failed for a reason that the caller is told."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class InvalidRequest(GatewayError):
    def __init__(self, message: str, reason: Reason = Reason.INVALID_ARGUMENT) -> None:
        super().__init__(reason, message)


class TooLarge(InvalidRequest):
    def __init__(self, method: str, limit: int) -> None:
        super().__init__(f"the request is larger than the {limit} bytes that {method} takes", Reason.PICTURE_TOO_LARGE)


class Unauthenticated(GatewayError):
    def __init__(self) -> None:
        super().__init__(Reason.UNAUTHENTICATED, "the token is missing or wrong; send `authorization: Bearer TOKEN`")


class NotFound(GatewayError):
    def __init__(self, message: str) -> None:
        super().__init__(Reason.NOT_FOUND, message)


class Overloaded(GatewayError):
    def __init__(self, in_flight: int, retry_after_s: float) -> None:
        super().__init__(
            Reason.OVERLOADED, f"{in_flight} requests are in flight already; come back in {retry_after_s:.2f} s"
        )
        self.retry_after_s = retry_after_s


class Unavailable(GatewayError):
    pass


class DeadlineExceeded(GatewayError):
    def __init__(self, stage: str) -> None:
        super().__init__(Reason.DEADLINE_EXCEEDED, f"the deadline passed during {stage}; give more time or ask less")


class NotArrived(GatewayError):
    def __init__(self, seconds: float) -> None:
        super().__init__(
            Reason.DEADLINE_EXCEEDED,
            f"the request did not arrive in time; send all of it within {seconds:g} s, or less at once",
        )


class InternalError(GatewayError):
    def __init__(self) -> None:
        super().__init__(Reason.INTERNAL, "the gateway failed; its log has the details")
