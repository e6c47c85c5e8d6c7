"""Page tokens: opaque to callers, plain inside."""

import base64
import json
from typing import Any

from framelens_client.reasons import Reason
from framelens_gateway.errors import InvalidRequest

# A product id of 256 bytes, each escaped, in base64.
_LONGEST = 2200


def page_token(kind: str, position: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps([kind, position]).encode()).decode().rstrip("=")


def position_of(token: str, kind: str, position_type: type[Any]) -> Any:  # noqa: ANN401
    """The position in a token of this kind, None for the first page. Raises InvalidRequest."""
    if not token:
        return None
    found = _read(token) if len(token) <= _LONGEST else None
    match found:
        case [str() as found_kind, position] if found_kind == kind and type(position) is position_type:
            return position
    raise InvalidRequest(
        "page_token is not one that this call has given; pass next_page_token as it was", Reason.INVALID_PAGE_TOKEN
    )


def _read(token: str) -> Any:  # noqa: ANN401
    """What is in a token, None where it is none of ours."""
    try:
        found = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
        # JSON may bring half characters, which no id has and nothing here can carry.
        json.dumps(found, ensure_ascii=False).encode()
        return found
    except (ValueError, RecursionError):
        return None
