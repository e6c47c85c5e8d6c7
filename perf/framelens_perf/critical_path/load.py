"""Load on our own gRPC endpoint: callers who never pause, and Poisson arrivals."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from framelens_perf.open_loop.schedule import poisson
from framelens_perf.open_loop.sender import OK, Sent, saturate, send
from framelens_perf.workload.traffic import GatewayCaller, Mix, Request, requests

# A backlog beyond this is the gateway's to shed, not the generator's to build.
_MOST_OUTSTANDING = 1000
_CALLERS = 8
# More requests than any run here answers.
_MOST_A_SECOND = 2000

Run = list[Sent[Request]]


@dataclass(frozen=True)
class Target:
    """A gateway, and the pixels that it is asked about."""

    address: str
    frames: Sequence[bytes]
    deadline_s: float = 10.0


def saturating(target: Target, seconds: float, mix: Mix = Mix(), seed: int = 0, callers: int = _CALLERS) -> Run:  # noqa: B008 (frozen)
    """What callers who never pause get within `seconds`."""
    asked = requests(target.frames, mix, round(_MOST_A_SECOND * seconds), seed)

    async def work() -> Run:
        caller = GatewayCaller(target.address, target.deadline_s)
        try:
            return await saturate(asked, caller.ask, callers, seconds)
        finally:
            await caller.close()

    return asyncio.run(work())


def arriving(target: Target, rate: float, seconds: float, mix: Mix = Mix(), seed: int = 0) -> Run:  # noqa: B008 (frozen)
    """What callers who don't know of each other get, `rate` of them a second."""
    schedule = poisson(rate, seconds, seed)
    asked = requests(target.frames, mix, len(schedule), seed)

    async def work() -> Run:
        caller = GatewayCaller(target.address, target.deadline_s)
        try:
            return await send(schedule, asked, caller.ask, _MOST_OUTSTANDING)
        finally:
            await caller.close()

    return asyncio.run(work())


def answered_rate(run: Run, seconds: float) -> float:
    """Answers a second, of those that came within the time."""
    return sum(each.code == OK and each.due_s + each.latency_ms / 1e3 <= seconds for each in run) / seconds
