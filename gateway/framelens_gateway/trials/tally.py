"""What a shadow trial has seen so far, as a report and as metrics."""

import hashlib
import time
from collections import Counter, deque
from enum import StrEnum

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.trials.comparison import Comparison
from framelens_gateway.trials.distribution import Distribution
from framelens_gateway.trials.metrics import TrialMetrics

_DISAGREEMENTS = 10
_ERRORS = 5
_ERROR_CHARACTERS = 300


class Outcome(StrEnum):
    """How a request for the shadow candidate ended."""

    COMPARED = "compared"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    DROPPED_FULL = "dropped_full"
    DROPPED_LOAD = "dropped_load"


class LastErrors:
    """The last few, newest first."""

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=_ERRORS)

    def add(self, error: BaseException) -> None:
        self._last.appendleft((str(error) or type(error).__name__)[:_ERROR_CHARACTERS])

    def report(self) -> list[str]:
        return list(self._last)


class Tally:
    """Counts, distributions and the last few disagreements."""

    def __init__(self, metrics: TrialMetrics) -> None:
        self._metrics = metrics
        self._outcomes: Counter[Outcome] = Counter()
        self._objects: Counter[str] = Counter()
        self._searches, self._agreed_top1 = 0, 0
        self._overlap, self._object_shift, self._match_shift = Distribution(), Distribution(), Distribution()
        self._live_ms, self._candidate_ms = Distribution(), Distribution()
        self._disagreements: deque[pb.Disagreement] = deque(maxlen=_DISAGREEMENTS)
        self.errors = LastErrors()

    def count(self, outcome: Outcome) -> None:
        self._outcomes[outcome] += 1
        self._metrics.shadow.labels(outcome).inc()

    def time(self, live_s: float, candidate_s: float) -> None:
        self._live_ms.add(live_s * 1e3)
        self._candidate_ms.add(candidate_s * 1e3)
        self._metrics.seconds.labels("shadow", "control").observe(live_s)
        self._metrics.seconds.labels("shadow", "candidate").observe(candidate_s)

    def compare(self, method: str, picture: bytes, found: Comparison) -> None:
        self._count_objects(found)
        self._object_shift.add(*found.object_shifts)
        for shift in found.object_shifts:
            self._metrics.score_shift.labels("object").observe(shift)
        for search in found.searches:
            self._searches += 1
            self._agreed_top1 += search.agreed
            self._overlap.add(search.overlap)
            self._metrics.top1.labels("true" if search.agreed else "false").inc()
            self._metrics.overlap.observe(search.overlap)
            if search.shift is not None:
                self._match_shift.add(search.shift)
                self._metrics.score_shift.labels("match").observe(search.shift)
        if found.differences:
            name = hashlib.sha256(picture).hexdigest()[:16]
            what = "; ".join(found.differences)
            self._disagreements.appendleft(pb.Disagreement(at=time.time(), method=method, picture=name, what=what))

    def report(self) -> pb.ShadowReport:
        both, live, candidate = (self._objects[who] for who in ("both", "live", "candidate"))
        return pb.ShadowReport(
            **{outcome.value: self._outcomes[outcome] for outcome in Outcome},
            live_objects=both + live,
            candidate_objects=both + candidate,
            agreed_objects=both,
            objects_f1=2 * both / (2 * both + live + candidate) if both + live + candidate else 1.0,
            searches=self._searches,
            agreed_top1=self._agreed_top1,
            overlap_at_k=self._overlap.report(),
            object_score_shift=self._object_shift.report(),
            match_score_shift=self._match_shift.report(),
            live_ms=self._live_ms.report(),
            candidate_ms=self._candidate_ms.report(),
            disagreements=self._disagreements,
            errors=self.errors.report(),
        )

    def _count_objects(self, found: Comparison) -> None:
        counts = {"both": found.agreed, "live": found.live - found.agreed, "candidate": found.candidate - found.agreed}
        for who, count in counts.items():
            self._objects[who] += count
            self._metrics.objects.labels(who).inc(count)
