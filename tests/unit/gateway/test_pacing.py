"""Deadlines that cannot be kept are refused before anything is done for them, and nobody is refused for good."""

import asyncio

import pytest
from gateway_fakes import found

from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, Overloaded
from framelens_gateway.pacing import PacedRecognizer
from framelens_gateway.recognizer import Recognition, RecognizerCall

CALL = RecognizerCall(b"frame", "embedder_test")


class OneAtATime:
    """Takes `each_s` for a recognition, one after the other."""

    def __init__(self, each_s: float) -> None:
        self.each_s = each_s
        self.asked = 0
        self._turn = asyncio.Lock()

    async def recognize(self, call: RecognizerCall, deadline: Deadline) -> Recognition:
        self.asked += 1
        async with self._turn:
            await asyncio.sleep(self.each_s)
        if deadline.at < asyncio.get_running_loop().time():
            raise DeadlineExceeded("recognition")
        return Recognition([found("cup")], {}, {}, 640, 480)


async def burst(paced: PacedRecognizer, callers: int, seconds: float) -> list[object]:
    tasks = [asyncio.create_task(paced.recognize(CALL, Deadline.after(seconds))) for _ in range(callers)]
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_as_many_are_taken_as_can_be_served_in_time() -> None:
    slow = OneAtATime(0.02)
    paced = PacedRecognizer(slow)
    await burst(paced, 5, 10)
    ends = await burst(paced, 20, 0.2)
    served = sum(isinstance(end, Recognition) for end in ends)
    assert 5 <= served <= 9
    assert sum(isinstance(end, Overloaded) for end in ends) == 20 - served
    assert slow.asked == 5 + served


async def test_a_refusal_says_when_to_come_back() -> None:
    paced = PacedRecognizer(OneAtATime(0.02))
    await burst(paced, 5, 10)
    refused = [end for end in await burst(paced, 20, 0.1) if isinstance(end, Overloaded)]
    assert refused[0].retry_after_s >= 0.02


async def test_those_with_time_wait_for_as_long_as_it_takes() -> None:
    paced = PacedRecognizer(OneAtATime(0.01))
    await burst(paced, 5, 10)
    assert all(isinstance(end, Recognition) for end in await burst(paced, 30, 10))


async def test_after_a_stall_it_finds_its_pace_again() -> None:
    slow = OneAtATime(0.1)
    paced = PacedRecognizer(slow)
    await burst(paced, 3, 0.15)
    slow.each_s = 0.001
    for _ in range(30):
        await burst(paced, 2, 0.05)
    assert all(isinstance(end, Recognition) for end in await burst(paced, 5, 0.05))


@pytest.mark.parametrize("callers", [1, 3])
async def test_what_is_too_late_already_is_not_begun(callers: int) -> None:
    slow = OneAtATime(0.01)
    ends = await burst(PacedRecognizer(slow), callers, -1)
    assert all(isinstance(end, DeadlineExceeded) for end in ends)
    assert slow.asked == 0
