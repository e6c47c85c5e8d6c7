import grpc
import pytest

from framelens_client.cli.unreachable import unreachable
from framelens_client.errors import Unreachable


# Seen with grpcio 1.81.
@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote "
            "host: Connection refused",
            "the connection was refused; is it running?",
        ),
        (
            "errors resolving x:80: [field:hostname lookup error:address lookup failed for x:80: Domain name "
            "not found]",
            "its name is not known",
        ),
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:2: Tls handshake failed "
            "(TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER",
            "no TLS connection came about; does it serve TLS, with a certificate that --ca names?",
        ),
        (
            "failed to connect to all addresses; last error: UNAVAILABLE: ipv4:127.0.0.1:2: Failed parsing HTTP/2 "
            "(Expected SETTINGS frame as the first frame, got frame type 79)",
            "it does not answer in plain gRPC; is this its gRPC port, or is --tls needed?",
        ),
        ("something new", "something new"),
    ],
)
def test_the_cause_is_said_without_the_layers_of_grpc(message: str, said: str) -> None:
    error = Unreachable(message, reason="UNAVAILABLE", code=grpc.StatusCode.UNAVAILABLE)
    assert unreachable("x:80", error) == f"no gateway answers at x:80: {said}"
