"""The trial of this gateway: begun, looked at and ended by command. It lives in memory, so a restart ends it."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.serving import Servings
from framelens_gateway.trials.bounds import Bounds, Breach
from framelens_gateway.trials.canary import Canary
from framelens_gateway.trials.candidates import Candidate, Candidates
from framelens_gateway.trials.metrics import TrialMetrics
from framelens_gateway.trials.search import Search
from framelens_gateway.trials.shadow import Shadow, TrialLimits

log = logging.getLogger(__name__)

_SHADOW, _CANARY = "shadow", "canary"
_SHARED_RECOGNIZER = (
    "live and candidate share the model `recognizer`: live requests that are batched with the candidate's wait for it; "
    "load recognizer__candidate to keep them apart"
)


class _Running(Search, Protocol):
    def report(self, trial: pb.Trial) -> None: ...

    async def close(self) -> None: ...


@dataclass
class _Trial:
    """`facts` is its message without the report."""

    facts: pb.Trial
    search: _Running
    sees_regions: bool


class Trials:
    """At most one trial at a time, between callers and the live search."""

    def __init__(
        self,
        live: Search,
        control: Search,
        candidates: Candidates,
        search_with: Callable[[Servings], Search],
        limits: TrialLimits,
        metrics: TrialMetrics,
    ) -> None:
        """`control` is the live engines, each request answered anew, as a candidate's requests are."""
        self._live, self._control = live, control
        self._candidates, self._search_with = candidates, search_with
        self._limits, self._metrics = limits, metrics
        self._trial: _Trial | None = None
        self._starting = asyncio.Lock()
        # What searches go through: the live search, or a trial around it.
        self.for_frames = self.for_regions = live

    async def start(self, request: pb.StartTrialRequest, deadline: Deadline) -> pb.Trial:
        """Raises InvalidRequest, NotFound where the candidate is not there, Unavailable."""
        bounds = _checked(request)
        deadline.remaining("starting a trial")
        async with self._starting:
            candidate = await self._candidates.find(request)
            self._check_free(request.kind, candidate.name)
            await self._end("stopped", "begun anew")
            self._begin(request, candidate, bounds)
        return self._message()

    async def stop(self, _: pb.StopTrialRequest, __: Deadline) -> pb.Trial:
        await self._end("stopped", "by command")
        return self._message()

    async def get(self, _: pb.GetTrialRequest, __: Deadline) -> pb.Trial:
        return self._message()

    async def close(self) -> None:
        await self._end("stopped", "the gateway stops")

    def _check_free(self, kind: str, candidate: str) -> None:
        if self._trial is None or self._trial.facts.state != "running":
            return
        facts = self._trial.facts
        if (facts.kind, facts.candidate) != (kind, candidate):
            raise InvalidRequest(f"a {facts.kind} of {facts.candidate} is running; stop it first")

    def _begin(self, request: pb.StartTrialRequest, candidate: Candidate, bounds: Bounds) -> None:
        facts = pb.Trial(
            state="running",
            kind=request.kind,
            share=request.share,
            candidate=candidate.name,
            started_at=time.time(),
            notes=_notes(candidate),
        )
        search = self._running(request, candidate, bounds)
        self._trial = _Trial(facts, search, candidate.sees_regions)
        self.for_frames = search
        self.for_regions = search if candidate.sees_regions else self._live
        self._metrics.share.labels(facts.kind, facts.candidate).set(facts.share)
        log.info("%s of %s with a share of %g", facts.kind, facts.candidate, facts.share)

    def _running(self, request: pb.StartTrialRequest, candidate: Candidate, bounds: Bounds) -> _Running:
        search = self._search_with(candidate.servings)
        if request.kind == _SHADOW:
            return Shadow(self._live, search, request.share, self._limits, self._metrics)
        return Canary(
            self._live,
            self._control,
            search,
            candidate.name,
            request.share,
            bounds,
            self._limits.timeout_s,
            self._metrics,
            self._roll_back,
        )

    def _roll_back(self, breach: Breach) -> None:
        log.warning("the canary is rolled back: %s", breach.sentence)
        self._metrics.rollbacks.labels(breach.bound).inc()
        self._leave("rolled_back", breach.sentence)

    async def _end(self, state: str, reason: str) -> None:
        if self._trial is not None and self._leave(state, reason):
            await self._trial.search.close()

    def _leave(self, state: str, reason: str) -> bool:
        """From here on requests are the live engines'. False where no trial is running."""
        self.for_frames = self.for_regions = self._live
        if self._trial is None or self._trial.facts.state != "running":
            return False
        facts = self._trial.facts
        facts.state, facts.reason, facts.ended_at = state, reason, time.time()
        self._metrics.share.remove(facts.kind, facts.candidate)
        log.info("%s of %s is over: %s", facts.kind, facts.candidate, reason)
        return True

    def _message(self) -> pb.Trial:
        if self._trial is None:
            return pb.Trial(state="none")
        trial = pb.Trial()
        trial.CopyFrom(self._trial.facts)
        self._trial.search.report(trial)
        return trial


class TriedSearch:
    """The live search, with whatever trial is running around it."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials

    async def recognize(self, request: pb.RecognizeRequest, deadline: Deadline) -> pb.RecognizeResponse:
        return await self._trials.for_frames.recognize(request, deadline)

    async def search_region(self, request: pb.SearchRegionRequest, deadline: Deadline) -> pb.SearchRegionResponse:
        return await self._trials.for_regions.search_region(request, deadline)


def _checked(request: pb.StartTrialRequest) -> Bounds:
    """Raises InvalidRequest."""
    if request.kind not in (_SHADOW, _CANARY):
        raise InvalidRequest(f"kind is {request.kind!r}; it must be {_SHADOW} or {_CANARY}")
    if not 0 < request.share <= 1:
        raise InvalidRequest(f"share is {request.share:g}; it must be above 0, to 1")
    if request.kind == _SHADOW and request.HasField("bounds"):
        raise InvalidRequest("a shadow has no bounds: it never touches a caller; leave them out")
    bounds = Bounds.read(request.bounds)
    if request.kind == _CANARY and request.share == 1 and bounds.max_p99_ms is None:
        raise InvalidRequest("a share of 1 leaves no control group to compare p99 with; give max_p99_ms too")
    return bounds


def _notes(candidate: Candidate) -> list[str]:
    notes = [_SHARED_RECOGNIZER] if candidate.shares_recognizer else []
    if not candidate.sees_regions:
        notes.append("SearchRegion detects nothing, so only Recognize is in this trial")
    return notes
