# ruff: noqa: S106 (fakes come as fixtures, which have no importable type; tokens are no secrets)
import grpc
import pytest

from framelens_client import errors
from framelens_client.settings import NO_RETRIES, Connection, Retries


def overloaded(retry_after_s: float | None = None) -> errors.Overloaded:
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    return errors.Overloaded("busy", reason="OVERLOADED", code=code, retry_after_s=retry_after_s)


def top(_low: float, high: float) -> float:
    return high


def test_delays_double_up_to_the_longest() -> None:
    retries = Retries(attempts=10, first_delay_s=0.1, longest_delay_s=0.5)
    delays = [retries.next_delay(attempt, overloaded(), 60, top) for attempt in (1, 2, 3, 4, 9)]
    assert delays == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_the_wish_of_the_server_is_a_lower_bound() -> None:
    delay = Retries().next_delay(1, overloaded(3.0), 60)
    assert delay is not None
    assert 3.0 <= delay <= 3.05


def test_no_delay_that_the_deadline_has_no_room_for() -> None:
    assert Retries().next_delay(1, overloaded(3.0), 2.9) is None


def test_attempts_are_bounded() -> None:
    assert Retries(attempts=2).next_delay(2, overloaded(), 60) is None


@pytest.mark.parametrize(
    "reason", ["INVALID_PICTURE", "DEADLINE_EXCEEDED", "NOT_FOUND", "INTERNAL", "UNAUTHENTICATED", "MILVUS_UNAVAILABLE"]
)
def test_what_is_not_retried(reason: str) -> None:
    assert Retries().next_delay(1, errors.of_reason(reason, ""), 60) is None


def test_the_token_is_not_shown() -> None:
    connection = Connection("127.0.0.1:1", token="secret")
    assert "secret" not in repr(connection)
    assert connection.metadata == (("authorization", "Bearer secret"),)


def unreachable() -> errors.Unreachable:
    return errors.Unreachable("away", reason="UNAVAILABLE", code=grpc.StatusCode.UNAVAILABLE)


def test_a_gateway_that_is_away_is_tried_until_the_deadline_or_as_often_as_wished() -> None:
    assert Retries().next_delay(1000, unreachable(), 60, top) == 2.0
    assert Retries().next_delay(1000, unreachable(), 1, top) is None
    assert Retries(unreachable_attempts=2).next_delay(1, unreachable(), 60) is not None
    assert Retries(unreachable_attempts=2).next_delay(2, unreachable(), 60) is None
    assert NO_RETRIES.next_delay(1, unreachable(), 60) is None
    assert NO_RETRIES.next_delay(1, overloaded(), 60) is None


@pytest.mark.parametrize("address", ["", "http://127.0.0.1:80", "gateway", "127.0.0.1"])
def test_an_address_is_not_a_url(address: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        Connection(address)


def test_the_address_in_the_hint_is_the_gateways() -> None:
    with pytest.raises(ValueError, match="such as 127.0.0.1:50051"):
        Connection("")


@pytest.mark.parametrize("token", ["secret\n", "secret\x00", "sécret", "\udcff"])
def test_a_token_that_no_metadata_can_carry_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ValueError, match="the token has characters") as refused:
        Connection("127.0.0.1:1", token=token)
    assert token not in str(refused.value)
