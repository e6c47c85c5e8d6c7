"""The search for the largest rate: what it returns, and that one unlucky try does not decide."""

import pytest

from framelens_perf.peers.rate_search import holds, largest_rate


class Server:
    """Holds up to `capacity`; `luck` says of each try in turn whether it comes out the other way round.

    What holds takes `margin` less than its bound, and what does not as much more.
    """

    def __init__(self, capacity: float, luck: list[bool] | None = None, margin: float = 0.1) -> None:
        self.capacity, self.margin = capacity, margin
        self.tried: list[float] = []
        self._luck = iter(luck or [])

    async def attempt(self, rate: float) -> float:
        self.tried.append(rate)
        return 1 - self.margin if (rate <= self.capacity) != next(self._luck, False) else 1 + self.margin


@pytest.mark.parametrize("capacity", [3.0, 42.0, 79.0, 99.0, 100.0, 140.0])
async def test_the_answer_is_within_the_precision_and_was_tried(capacity: float) -> None:
    server = Server(capacity)
    found = await largest_rate(server.attempt, first=100, precision=0.05)
    assert capacity - 5 <= found <= capacity
    assert found in (0.0, *server.tried)


async def test_nothing_holds() -> None:
    assert await largest_rate(Server(0).attempt, first=100, precision=0.05) == 0.0


async def test_a_server_that_holds_anything_ends_the_search() -> None:
    server = Server(float("inf"))
    assert await largest_rate(server.attempt, first=100, precision=0.05) == max(server.tried)


async def test_what_is_clear_is_tried_once() -> None:
    server = Server(60, margin=0.6)
    assert 55 <= await largest_rate(server.attempt, first=100, precision=0.05) <= 60
    assert {server.tried.count(rate) for rate in server.tried} == {1}


async def test_what_is_close_to_its_bound_is_tried_twice_at_least() -> None:
    server = Server(60)
    await largest_rate(server.attempt, first=100, precision=0.05)
    assert {server.tried.count(rate) for rate in server.tried} == {2}


@pytest.mark.parametrize("luck", [[True], [False, True], [False, False]])
@pytest.mark.parametrize("capacity", [40, 60])
async def test_one_unlucky_try_does_not_decide(luck: list[bool], capacity: float) -> None:
    server = Server(capacity, luck)
    assert await holds(server.attempt, 50) == (capacity >= 50)
    assert len(server.tried) == 2 + any(luck)
