"""Canary: the candidate serves a share of the requests, as long as it keeps its bounds."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import EARLY_S, Deadline
from framelens_gateway.errors import DeadlineExceeded, GatewayError, InvalidRequest
from framelens_gateway.trials.bounds import Bounds, Breach, Window, breach
from framelens_gateway.trials.choice import Group, group_of
from framelens_gateway.trials.metrics import TrialMetrics
from framelens_gateway.trials.search import Search
from framelens_gateway.trials.tally import LastErrors

log = logging.getLogger(__name__)

Request = TypeVar("Request", pb.RecognizeRequest, pb.SearchRegionRequest)
Response = TypeVar("Response", pb.RecognizeResponse, pb.SearchRegionResponse)

# What is kept for the live engines after the candidate, in times of their p99.
_RESERVE = 1.5


class Canary:
    """A Search whose requests are answered by `live`, but for the candidate's share and as large a one of `control`.

    Control is the same engines as live, which may give an answer again; neither control nor the candidate does.
    """

    def __init__(
        self,
        live: Search,
        control: Search,
        candidate: Search,
        name: str,
        share: float,
        bounds: Bounds,
        timeout_s: float,
        metrics: TrialMetrics,
        on_breach: Callable[[Breach], None],
    ) -> None:
        self._live, self._control, self._candidate, self._name = live, control, candidate, name
        self._share, self._bounds, self._timeout_s = share, bounds, timeout_s
        self._metrics, self._on_breach = metrics, on_breach
        self._windows = {group: Window(bounds.window) for group in (Group.CANDIDATE, Group.CONTROL)}
        self._outcomes: Counter[bool] = Counter()
        self._errors = LastErrors()
        # Of the control group, once it is known.
        self._live_p99_s: float | None = None
        self._no_time = 0
        self._over = False

    async def recognize(self, request: pb.RecognizeRequest, deadline: Deadline) -> pb.RecognizeResponse:
        searches = (self._live.recognize, self._control.recognize, self._candidate.recognize)
        return await self._answer(request, deadline, *searches)

    async def search_region(self, request: pb.SearchRegionRequest, deadline: Deadline) -> pb.SearchRegionResponse:
        searches = (self._live.search_region, self._control.search_region, self._candidate.search_region)
        return await self._answer(request, deadline, *searches)

    def report(self, trial: pb.Trial) -> None:
        trial.canary.CopyFrom(
            pb.CanaryReport(
                served=self._outcomes[True],
                failed=self._outcomes[False],
                no_time=self._no_time,
                bounds=self._bounds.as_message(),
                candidate=self._windows[Group.CANDIDATE].report(),
                control=self._windows[Group.CONTROL].report(),
                errors=self._errors.report(),
            )
        )

    async def close(self) -> None:
        """Requests under way are their callers'."""

    async def _answer(
        self,
        request: Request,
        deadline: Deadline,
        live: Callable[[Request, Deadline], Awaitable[Response]],
        control: Callable[[Request, Deadline], Awaitable[Response]],
        candidate: Callable[[Request, Deadline], Awaitable[Response]],
    ) -> Response:
        group = group_of(request, self._share, self._name)
        if group is Group.CANDIDATE:
            response = await self._try(request, deadline, candidate)
            if response is not None:
                return response
        if group is Group.CONTROL:
            return await self._watched(request, deadline, control)
        return await live(request, deadline)

    def _room_s(self, deadline: Deadline) -> float:
        """The candidate's time: what the live engines would not need after it."""
        left_s = deadline.remaining("the wait for the candidate")
        if self._live_p99_s is None:
            return min(left_s / 2, self._timeout_s)
        return min(left_s - _RESERVE * self._live_p99_s, self._timeout_s)

    async def _try(
        self, request: Request, deadline: Deadline, candidate: Callable[[Request, Deadline], Awaitable[Response]]
    ) -> Response | None:
        """The candidate's answer; None where it has failed or has no time, and the live engines are to answer."""
        room_s, started = self._room_s(deadline), time.perf_counter()
        if room_s < (self._live_p99_s or 0):
            # The live engines need as long: nothing that it did in less would say anything of the candidate.
            self._no_time += 1
            return None
        failure: Exception
        try:
            async with asyncio.timeout(room_s):
                response = await candidate(request, Deadline.after(room_s))
        except InvalidRequest:
            raise
        except TimeoutError:
            failure = DeadlineExceeded(f"{room_s:.3g} s that the candidate had")
        except GatewayError as error:
            failure = error
        except Exception as error:
            log.exception("the canary failed")
            failure = error
        else:
            response.served.candidate = self._name
            self._record(Group.CANDIDATE, started)
            return response
        self._errors.add(failure)
        self._record(Group.CANDIDATE, started, failure)
        return None

    async def _watched(
        self, request: Request, deadline: Deadline, control: Callable[[Request, Deadline], Awaitable[Response]]
    ) -> Response:
        started = time.perf_counter()
        try:
            response = await control(request, deadline)
        except InvalidRequest:
            raise
        except asyncio.CancelledError:
            # A caller that goes away says nothing of the engines; one whose time is over does.
            if deadline.at - time.monotonic() < EARLY_S:
                self._record(Group.CONTROL, started, DeadlineExceeded("control"))
            raise
        except Exception as error:
            self._record(Group.CONTROL, started, error)
            raise
        self._record(Group.CONTROL, started)
        return response

    def _record(self, group: Group, started: float, failure: Exception | None = None) -> None:
        seconds = time.perf_counter() - started
        self._windows[group].add(seconds * 1e3 if failure is None else None)
        self._metrics.canary.labels(group, _outcome(failure)).inc()
        self._metrics.seconds.labels("canary", group).observe(seconds)
        if group is Group.CANDIDATE:
            self._outcomes[failure is None] += 1
            self._judge()

    def _judge(self) -> None:
        candidate, control = self._windows[Group.CANDIDATE], self._windows[Group.CONTROL]
        if control.answered:
            self._live_p99_s = control.percentile_ms(0.99) / 1e3
        found = None if self._over else breach(self._bounds, candidate, control)
        if found is not None:
            self._over = True
            self._on_breach(found)


def _outcome(failure: Exception | None) -> str:
    if failure is None:
        return "OK"
    return failure.reason if isinstance(failure, GatewayError) else Reason.INTERNAL
