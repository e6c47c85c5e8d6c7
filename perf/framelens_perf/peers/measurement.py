"""Measures whatever answers pictures, through one seam that knows no protocol."""

import asyncio
import itertools
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from framelens_perf.open_loop.schedule import poisson
from framelens_perf.open_loop.sender import OK, Answer, Sent, saturate, send
from framelens_perf.open_loop.summary import percentile, summarize
from framelens_perf.peers.failures import AskFailed
from framelens_perf.peers.rate_search import largest_rate

# Asks once with an encoded picture and returns when the answer is there. Raises AskFailed.
Ask = Callable[[bytes], Awaitable[None]]

_FAILED = "FAILED"
# A backlog beyond this is an overload whatever comes; what is due then counts as failed.
_MOST_OUTSTANDING = 500
# Rounds of asking after an overload; each lasts as long as the caller's deadline.
_MOST_SETTLING = 10


@dataclass(frozen=True)
class Plan:
    """How long and how hard to measure."""

    alone_asks: int = 100
    callers: int = 8
    warm_up_s: float = 5.0
    saturate_s: float = 20.0
    # One try of a rate, up to three times as long where fewer would come: p99 of a few is their worst.
    try_s: float = 20.0
    least_requests: int = 100
    p99_bound_ms: float = 150.0
    # Of the saturated rate: how far apart a rate that held and one that failed may end up.
    precision: float = 0.05

    def seconds_at(self, rate: float) -> float:
        return min(3 * self.try_s, max(self.try_s, self.least_requests / rate))


@dataclass(frozen=True)
class RateTry:
    """One open-loop run at Poisson times: latency counts from the scheduled time, a failure as endless."""

    rate: float
    requests: int
    failed: int
    p99_ms: float
    # Share of requests that left too late to be this rate's: the generator's fault, counted against who is measured.
    delayed_share: float

    def to_json(self) -> dict[str, Any]:
        """Infinity is no JSON: None where more than a hundredth failed."""
        return vars(self) | {"p99_ms": self.p99_ms if math.isfinite(self.p99_ms) else None}


@dataclass(frozen=True)
class Measured:
    """What callers get from one server; rates in frames a second, `sustained` the largest whose p99 kept its bound."""

    alone_ms: float
    saturated: float
    saturated_failures: int
    sustained: float
    tries: tuple[RateTry, ...]

    @property
    def delayed_share(self) -> float:
        """Over all tries: of a single short one, it is soon a large share."""
        requests = sum(each.requests for each in self.tries)
        return sum(each.delayed_share * each.requests for each in self.tries) / max(1, requests)

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"tries": [each.to_json() for each in self.tries]}


async def measure(ask: Ask, frames: Sequence[bytes], plan: Plan) -> Measured:
    """Alone, saturated, and at the largest Poisson rate that keeps the bound on p99. Raises AskFailed when alone."""
    coded = _coded(ask)
    await saturate(frames, coded, plan.callers, plan.warm_up_s)
    alone_ms = await _alone_ms(ask, frames, plan.alone_asks)
    sent = await saturate(frames, coded, plan.callers, plan.saturate_s)
    saturated = summarize(sent, plan.saturate_s).goodput
    tries: list[RateTry] = []

    async def attempt(rate: float) -> float:
        # Each try has arrivals of its own: repeats of one schedule would repeat its luck.
        seconds = plan.seconds_at(rate)
        schedule = poisson(rate, seconds, seed=len(tries))
        await _settle(coded, frames, plan.callers)
        tries.append(accounted(rate, await send(schedule, frames, coded, _MOST_OUTSTANDING), seconds))
        return tries[-1].p99_ms / plan.p99_bound_ms

    sustained = await largest_rate(attempt, saturated, plan.precision) if saturated else 0.0
    return Measured(alone_ms, saturated, sum(each.code != OK for each in sent), sustained, tuple(tries))


def accounted(rate: float, sent: Sequence[Sent[bytes]], seconds: float) -> RateTry:
    """What one try came to; a request that was not answered, or never sent, took forever."""
    latencies_ms = [each.latency_ms if each.code == OK else math.inf for each in sent]
    return RateTry(
        rate=rate,
        requests=len(sent),
        failed=sum(each.code != OK for each in sent),
        # A schedule so slow that nobody came says nothing against the rate.
        p99_ms=percentile(latencies_ms, 99) if latencies_ms else 0.0,
        delayed_share=summarize(sent, seconds).delayed_share,
    )


async def _settle(coded: Callable[[bytes], Awaitable[Answer]], frames: Sequence[bytes], callers: int) -> None:
    """Waits until all callers are answered again: servers go on with what an overload left, though nobody waits."""
    for _ in range(_MOST_SETTLING):
        answers = await asyncio.gather(*(coded(frame) for frame in itertools.islice(itertools.cycle(frames), callers)))
        if all(answer.code == OK for answer in answers):
            return


async def _alone_ms(ask: Ask, frames: Sequence[bytes], asks: int) -> float:
    """The median of calls one after the other."""
    took_ms = []
    for frame in itertools.islice(itertools.cycle(frames), asks):
        started = time.perf_counter()
        await ask(frame)
        took_ms.append((time.perf_counter() - started) * 1e3)
    return statistics.median(took_ms)


def _coded(ask: Ask) -> Callable[[bytes], Awaitable[Answer]]:
    """The same ask, with its end as the code that the sender keeps."""

    async def coded(frame: bytes) -> Answer:
        try:
            await ask(frame)
        except AskFailed:
            return Answer(_FAILED)
        return Answer()

    return coded
