"""Reads what perf_analyzer wrote: figures from its CSV, and from its words whether they can be trusted."""

import csv
import io
import math
import re
from dataclasses import dataclass

from framelens_perf.analyzer.errors import RunError
from framelens_perf.analyzer.results import Figures, Load, Point, Verdict

MOST_DELAYED = 0.01
# What a stable open loop may answer less than was asked, beside the noise of a count of random arrivals.
_MOST_SHORT = 0.05
_SIGMAS = 2
_TAIL_LINES = 8

_DELAYED = re.compile(r"([\d.]+)% of the requests were delayed")
_REQUESTS = re.compile(r"^\s*Request count: (\d+)", re.MULTILINE)
# A request failed, and then its window may be called empty too.
_FAILED = re.compile(r"Thread \[\d+\] had error: (.+)")
# The second ends a run with exit status 0 and figures; the third is said of windows shorter than a request takes.
_UNSTABLE = (
    "Failed to obtain stable measurement",
    "Request latency is not stabilizing",
    "No valid requests recorded within time interval",
    # Ours, of a run that had to be ended.
    "did not end within",
)
_US_PER_MS = 1000


@dataclass(frozen=True)
class Outcome:
    """How one run of perf_analyzer ended: its exit status, all it said, and its CSV, empty where it wrote none."""

    status: int
    said: str
    csv: str


def read_point(load: Load, outcome: Outcome) -> Point:
    """Raises RunError where a request failed, or perf_analyzer could not work at all."""
    if failed := _FAILED.search(outcome.said):
        raise RunError(f"requests failed under {load}: {failed[1].strip()}")
    for words in _UNSTABLE:
        if words in outcome.said:
            return Point(load, Verdict.UNSTABLE, None, None, words)
    if outcome.status:
        raise RunError(f"perf_analyzer ended with status {outcome.status} under {load}:\n{_tail(outcome.said)}")
    return _judged(load, _figures(outcome), _delayed_share(outcome.said))


def _judged(load: Load, figures: Figures, delayed_share: float | None) -> Point:
    if load.open_loop and delayed_share is not None and delayed_share > MOST_DELAYED:
        said = f"{delayed_share:.1%} of the requests left late (bar {MOST_DELAYED:.0%})"
        return Point(load, Verdict.DELAYED, None, delayed_share, said)
    if load.open_loop and figures.throughput < _least_throughput(load, figures):
        said = f"{figures.throughput:.1f} answers/s of {load.value:g} asked"
        return Point(load, Verdict.OVERLOADED, None, delayed_share, said)
    return Point(load, Verdict.STABLE, figures, delayed_share, "")


def _least_throughput(load: Load, figures: Figures) -> float:
    """Under it, requests pile up; with few of them a run of bad luck looks alike, so it is lower then."""
    return load.value * (1 - _MOST_SHORT - _SIGMAS / math.sqrt(max(1, figures.requests)))


def _delayed_share(said: str) -> float | None:
    found = _DELAYED.search(said)
    return float(found[1]) / 100 if found else None


def _figures(outcome: Outcome) -> Figures:
    rows = list(csv.DictReader(io.StringIO(outcome.csv)))
    requests = _REQUESTS.search(outcome.said)
    if len(rows) != 1 or requests is None:
        raise RunError(f"perf_analyzer reported {len(rows)} points instead of one:\n{_tail(outcome.said)}")
    row = rows[0]
    return Figures(
        requests=int(requests[1]),
        throughput=_number(row, "Inferences/Second"),
        p50_ms=_ms(row, "p50 latency"),
        p90_ms=_ms(row, "p90 latency"),
        p95_ms=_ms(row, "p95 latency"),
        p99_ms=_ms(row, "p99 latency"),
        queue_ms=_ms(row, "Server Queue"),
        compute_input_ms=_ms(row, "Server Compute Input"),
        compute_infer_ms=_ms(row, "Server Compute Infer"),
        compute_output_ms=_ms(row, "Server Compute Output"),
    )


def _ms(row: dict[str, str], column: str) -> float:
    return _number(row, column) / _US_PER_MS


def _number(row: dict[str, str], column: str) -> float:
    try:
        return float(row[column])
    except (KeyError, ValueError) as error:
        raise RunError(
            f"perf_analyzer's CSV has no number under {column!r} but {row.get(column)!r}; its columns are"
            f" {', '.join(row)}. Use the release that this package pins"
        ) from error


def _tail(said: str) -> str:
    return "\n".join(said.strip().splitlines()[-_TAIL_LINES:])
