"""The measurements of the critical path, each beside the limit of the same minutes, on a stack that is up."""

import itertools
import statistics
from dataclasses import dataclass, replace
from typing import Any

from framelens_perf.critical_path.bars import Overload
from framelens_perf.critical_path.limit import LIMIT_STAGES, Limit, Work
from framelens_perf.critical_path.load import Target, answered_rate, arriving, saturating
from framelens_perf.critical_path.triton_statistics import TritonStatistics
from framelens_perf.critical_path.waterfall import waterfall
from framelens_perf.open_loop.sender import NOT_SENT, OK
from framelens_perf.open_loop.summary import percentile, summarize
from framelens_perf.workload.traffic import Mix

_REFUSED = "RESOURCE_EXHAUSTED"
_HOT = Mix(hot_frames=10_000, zipf=1.1)
_seeds = itertools.count(1)


@dataclass(frozen=True)
class Lengths:
    """How long each measurement runs."""

    alone: int
    rounds: int
    saturate_s: float
    loads: tuple[float, ...]
    load_s: float
    overload_s: float
    hot_warm_s: float
    hot_s: float


FULL = Lengths(
    alone=60,
    rounds=4,
    saturate_s=10,
    loads=(0.3, 0.5, 0.7, 0.8, 0.9),
    load_s=15,
    overload_s=20,
    hot_warm_s=90,
    hot_s=8,
)
QUICK = Lengths(alone=15, rounds=2, saturate_s=5, loads=(0.5, 0.8), load_s=6, overload_s=8, hot_warm_s=8, hot_s=5)


@dataclass(frozen=True)
class Saturation:
    """Frames a second that callers who never pause get, and the limit of the same minutes; medians of all rounds."""

    rate: float
    over_limit: float
    one_core_ms: float
    one_core_stages_ms: dict[str, float]
    all_cores_rate: float
    rounds: list[dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        return vars(self)


def saturation(target: Target, limit: Limit, lengths: Lengths) -> Saturation:
    """Serving and the limit in turn."""
    rounds: list[dict[str, float]] = []
    worked: list[Work] = []
    for _ in range(lengths.rounds):
        works = limit.alone(target.frames)
        one_core_ms = statistics.fmean(work.total_ms for work in works)
        run = saturating(target, lengths.saturate_s, seed=next(_seeds))
        rate = answered_rate(run, lengths.saturate_s)
        together = limit.together(target.frames)
        over = rate / (limit.cores * 1e3 / one_core_ms)
        rounds.append({"rate": rate, "one_core_ms": one_core_ms, "all_cores_rate": together, "over_limit": over})
        worked += works
    rate, one_core_ms, together, over = (
        statistics.median(each[name] for each in rounds)
        for name in ("rate", "one_core_ms", "all_cores_rate", "over_limit")
    )
    stages_ms = {stage: statistics.fmean(work.stages_ms[stage] for work in worked) for stage in LIMIT_STAGES}
    return Saturation(rate, over, one_core_ms, stages_ms, together, rounds)


def load_curve(target: Target, saturated: float, lengths: Lengths, triton: TritonStatistics) -> list[dict[str, Any]]:
    """Latency at shares of the saturated rate, and where its time goes."""
    points = []
    for share in lengths.loads:
        triton.since()
        run = arriving(target, share * saturated, lengths.load_s, seed=next(_seeds))
        points.append(
            {
                "share": share,
                "rate": share * saturated,
                **summarize(run, lengths.load_s).to_json(),
                "waterfall_p50_ms": waterfall(run, 50),
                "waterfall_p99_ms": waterfall(run, 99),
                "triton": {model: found.to_json() for model, found in triton.since().items()},
                "latencies_ms": sorted(round(each.latency_ms, 2) for each in run if each.code == OK),
            }
        )
    return points


def overload(target: Target, saturated: float, slo_ms: float, lengths: Lengths) -> tuple[Overload, dict[str, Any]]:
    """Twice the rate that saturates, from callers whose deadline is the SLO; what is admitted and fails counts too."""
    hurried = replace(target, deadline_s=slo_ms / 1e3)
    run = arriving(hurried, 2 * saturated, lengths.overload_s, seed=next(_seeds))
    summary = summarize(run, lengths.overload_s)
    # One that was admitted and then failed ended at its deadline, which is the SLO.
    accepted = [each.latency_ms for each in run if each.code not in (_REFUSED, NOT_SENT)]
    found = Overload(summary.goodput / saturated, percentile(accepted, 99) if accepted else 0.0, summary.refused_ms)
    return found, summary.to_json()


def hot(target: Target, lengths: Lengths) -> dict[str, Any]:
    """Callers who never pause: with frames that come again, after the most frequent ones were asked once in their
    order, and with new frames, in turn; medians of all rounds. `known` is the share whose frame had been asked before.
    """
    # The frames of seed 0 are numbered from 0, as those that come again are by their frequency.
    known = {each.request.mark for each in saturating(target, lengths.hot_warm_s, seed=0)}
    rounds: list[dict[str, float]] = []
    for _ in range(lengths.rounds):
        run = saturating(target, lengths.hot_s, _HOT, seed=next(_seeds))
        again = [each.request.mark in known for each in run]
        known |= {each.request.mark for each in run}
        rate = answered_rate(run, lengths.hot_s)
        uncached = answered_rate(saturating(target, lengths.hot_s, seed=next(_seeds)), lengths.hot_s)
        rounds.append(
            {"rate": rate, "uncached": uncached, "over_uncached": rate / uncached, "known": statistics.fmean(again)}
        )
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]} | {"rounds": rounds}
