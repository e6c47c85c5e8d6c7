"""Sends a schedule and keeps how each request ended; latency counts from the time at which it was due."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

OK = "OK"
# Of a request that was due while as many as allowed had no answer yet.
NOT_SENT = "NOT_SENT"

Request = TypeVar("Request")


@dataclass(frozen=True, slots=True)
class Answer:
    """OK or a status code's name, and where the server says the milliseconds went."""

    code: str = OK
    stages_ms: Mapping[str, float] = field(default_factory=dict)


# Asks once; what fails is an answer too.
Ask = Callable[[Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Sent(Generic[Request]):
    """One request and how it ended.

    `due_s` is from the run's start, `late_ms` how long after it the request left, `latency_ms` from `due_s` to the
    answer, `answer_ms` from leaving to the answer.
    """

    request: Request
    due_s: float
    late_ms: float
    latency_ms: float
    answer: Answer

    @property
    def code(self) -> str:
        return self.answer.code

    @property
    def answer_ms(self) -> float:
        return self.latency_ms - self.late_ms


async def send(
    schedule: Sequence[float], requests: Sequence[Request], ask: Ask[Request], max_outstanding: int
) -> list[Sent[Request]]:
    """Sends one request at each time of the schedule, the requests in turn; returns once all have ended."""
    sent: list[Sent[Request]] = []
    outstanding = 0
    start = time.perf_counter()

    async def one(request: Request, due_s: float) -> None:
        nonlocal outstanding
        left = time.perf_counter() - start
        try:
            answer = await ask(request)
        finally:
            outstanding -= 1
        now = time.perf_counter() - start
        sent.append(Sent(request, due_s, (left - due_s) * 1e3, (now - due_s) * 1e3, answer))

    async with asyncio.TaskGroup() as group:
        for index, due_s in enumerate(schedule):
            await asyncio.sleep(max(0.0, start + due_s - time.perf_counter()))
            request = requests[index % len(requests)]
            if outstanding >= max_outstanding:
                sent.append(Sent(request, due_s, 0.0, 0.0, Answer(NOT_SENT)))
                continue
            outstanding += 1
            group.create_task(one(request, due_s))
    return sent


async def saturate(requests: Sequence[Request], ask: Ask[Request], callers: int, seconds: float) -> list[Sent[Request]]:
    """Callers who ask again as soon as they have an answer; what began within `seconds` is counted to its end."""
    sent: list[Sent[Request]] = []
    start = time.perf_counter()
    endless = iter(range(1 << 62))

    async def call() -> None:
        while (left := time.perf_counter() - start) < seconds:
            request = requests[next(endless) % len(requests)]
            answer = await ask(request)
            sent.append(Sent(request, left, 0.0, (time.perf_counter() - start - left) * 1e3, answer))

    await asyncio.gather(*(call() for _ in range(callers)))
    return sent
