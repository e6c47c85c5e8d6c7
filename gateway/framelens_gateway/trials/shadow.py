"""Shadow: live requests are answered as always, and some of them by the candidate too, afterwards and apart."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, GatewayError
from framelens_gateway.recognizer import STAGES
from framelens_gateway.trials.comparison import Comparison, compare_recognitions, compare_regions
from framelens_gateway.trials.metrics import TrialMetrics
from framelens_gateway.trials.search import Search
from framelens_gateway.trials.tally import Outcome, Tally

log = logging.getLogger(__name__)

Request = TypeVar("Request", pb.RecognizeRequest, pb.SearchRegionRequest)
Response = TypeVar("Response", pb.RecognizeResponse, pb.SearchRegionResponse)

# In this time the answer has left, so that the candidate's work in this process does not delay it.
_AFTER_ANSWER_S = 0.01


@dataclass(frozen=True)
class TrialLimits:
    """`load` is the share of searches that may be in flight; above `max_load` the candidate gets nothing."""

    max_in_flight: int
    timeout_s: float
    max_load: float
    load: Callable[[], float]


class Shadow:
    """A Search that answers as `live` does; what becomes of the candidate only its report tells."""

    def __init__(
        self,
        live: Search,
        candidate: Search,
        share: float,
        limits: TrialLimits,
        metrics: TrialMetrics,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._live, self._candidate = live, candidate
        self._share, self._limits, self._chance = share, limits, chance
        self._tally = Tally(metrics)
        self._running: set[asyncio.Task[None]] = set()

    async def recognize(self, request: pb.RecognizeRequest, deadline: Deadline) -> pb.RecognizeResponse:
        started = time.perf_counter()
        response = await self._live.recognize(request, deadline)
        self._offer(request, response, time.perf_counter() - started, self._candidate.recognize, compare_recognitions)
        return response

    async def search_region(self, request: pb.SearchRegionRequest, deadline: Deadline) -> pb.SearchRegionResponse:
        started = time.perf_counter()
        response = await self._live.search_region(request, deadline)
        self._offer(request, response, time.perf_counter() - started, self._candidate.search_region, compare_regions)
        return response

    def report(self, trial: pb.Trial) -> None:
        trial.shadow.CopyFrom(self._tally.report())

    async def close(self) -> None:
        """Gives up what is under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _offer(
        self,
        request: Request,
        response: Response,
        live_s: float,
        ask: Callable[[Request, Deadline], Awaitable[Response]],
        compare: Callable[[Response, Response], Comparison],
    ) -> None:
        if self._chance() >= self._share:
            return
        if self._limits.load() > self._limits.max_load:
            self._tally.count(Outcome.DROPPED_LOAD)
        elif len(self._running) >= self._limits.max_in_flight:
            self._tally.count(Outcome.DROPPED_FULL)
        else:
            task = asyncio.create_task(self._answer(request, response, live_s, ask, compare))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _answer(
        self,
        request: Request,
        response: Response,
        live_s: float,
        ask: Callable[[Request, Deadline], Awaitable[Response]],
        compare: Callable[[Response, Response], Comparison],
    ) -> None:
        await asyncio.sleep(_AFTER_ANSWER_S)
        timeout_s, started = self._limits.timeout_s, time.perf_counter()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await ask(request, Deadline.after(timeout_s))
            candidate_s = time.perf_counter() - started
            found = compare(response, answer)
        except (TimeoutError, DeadlineExceeded):
            self._tally.count(Outcome.TIMED_OUT)
        except GatewayError as error:
            self._failed(error)
        except Exception as error:
            log.exception("the shadow candidate failed")
            self._failed(error)
        else:
            self._tally.count(Outcome.COMPARED)
            if not _was_given_again(response.served):
                self._tally.time(live_s, candidate_s)
            self._tally.compare(request.DESCRIPTOR.name.removesuffix("Request"), request.picture, found)

    def _failed(self, error: Exception) -> None:
        self._tally.count(Outcome.FAILED)
        self._tally.errors.add(error)


def _was_given_again(served: pb.Served) -> bool:
    """Such an answer says nothing of how fast the engines are: no stage took any time."""
    return all(served.stages_ms.get(stage) == 0 for stage in STAGES)
