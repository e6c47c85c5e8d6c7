# ruff: noqa: S106 (fakes come as fixtures, which have no importable type; tokens are no secrets)
import grpc
import pytest

from framelens_client import errors
from framelens_client.settings import Connection, Retries


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


@pytest.mark.parametrize("address", ["", "http://127.0.0.1:80"])
def test_an_address_is_not_a_url(address: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        Connection(address)
