"""Why a gateway cannot be reached, in words for a person at a terminal."""

import re

from framelens_client.errors import Unreachable

# Of gRPC's message, which names its own layers. What matches none is shown as it is.
_CAUSES = (
    ("Connection refused", "the connection was refused; is it running?"),
    ("[Ll]ookup failed|errors resolving|not found|Name or service not known", "its name is not known"),
    ("handshake failed|SSL", "no TLS connection came about; does it serve TLS, with a certificate that --ca names?"),
    ("parsing HTTP/2|GOAWAY|http2", "it does not answer in plain gRPC; is this its gRPC port, or is --tls needed?"),
    ("timed out|Timeout|unreachable|No route", "nothing answers there; is the address right?"),
    ("Socket closed|reset by peer|Broken pipe", "it closed the connection; is it restarting, or is --tls needed?"),
)


def unreachable(address: str, error: Unreachable) -> str:
    causes = (said for words, said in _CAUSES if re.search(words, error.message))
    return f"no gateway answers at {address}: {next(causes, error.message)}"
