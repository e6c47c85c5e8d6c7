"""What every HTTP request brings: a body of bounded size, and perhaps a time."""

from starlette.requests import Request
from starlette.types import Message, Receive

from framelens_gateway.errors import InvalidRequest, TooLarge

TIMEOUT_HEADER = "x-timeout-ms"


def limited(request: Request, name: str, limit: int) -> Receive:
    """The body's pieces, up to the limit: not every body says its length, or the truth about it."""
    left = limit

    async def receive() -> Message:
        nonlocal left
        message = await request.receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise TooLarge(name, limit)
        return message

    return receive


def timeout_s(request: Request) -> float | None:
    """None also where what is given is no time."""
    try:
        milliseconds = float(request.headers.get(TIMEOUT_HEADER, ""))
    except ValueError:
        return None
    return milliseconds / 1e3 if 0 < milliseconds < 1e9 else None


def check_timeout(request: Request) -> None:
    """Raises InvalidRequest."""
    text = request.headers.get(TIMEOUT_HEADER)
    if text is not None and timeout_s(request) is None:
        raise InvalidRequest(f"{TIMEOUT_HEADER} is {text!r}; it must be a number of milliseconds above 0")
