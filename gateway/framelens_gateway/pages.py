"""Page tokens: opaque to callers, plain inside."""

import base64
import binascii
import json
from typing import Any

from framelens_client.reasons import Reason
from framelens_gateway.errors import InvalidRequest


def page_token(kind: str, position: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps([kind, position]).encode()).decode().rstrip("=")


def position_of(token: str, kind: str, position_type: type[Any]) -> Any:  # noqa: ANN401
    """The position in a token of this kind, None for the first page. Raises InvalidRequest."""
    if not token:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4)))
    except (ValueError, binascii.Error):
        found = None
    match found:
        case [str() as found_kind, position] if found_kind == kind and type(position) is position_type:
            return position
    raise InvalidRequest(
        "page_token is not one that this call has given; pass next_page_token as it was", Reason.INVALID_PAGE_TOKEN
    )
