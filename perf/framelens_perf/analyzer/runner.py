"""Runs perf_analyzer for one load: its command line, its windows, and all that came of it."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from framelens_perf.analyzer.install import PerfAnalyzer
from framelens_perf.analyzer.output import Outcome
from framelens_perf.analyzer.results import Load
from framelens_perf.open_loop.schedule import poisson

_PERCENTILE = 99
# How far the last three windows may differ, in percent: p99 of real arrivals never agrees better.
_STABILITY = 120
# More than the answers of detector or an embedder take.
_SHARED_OUTPUT_BYTES = 65536
_START_AND_DRAIN_S = 60
# Windows end a little late, so arrivals are drawn for longer than they; after the last, perf_analyzer begins anew.
_MARGIN = 1.5


@dataclass(frozen=True)
class Effort:
    """How long and how often is measured: windows of at least `window_s`, and open loop of about `requests` each.

    An unstable load is tried `attempts` times, and a rate of an SLO search judged by `slo_repeats` points.
    """

    window_s: float
    requests: int
    windows: int
    attempts: int
    slo_repeats: int

    def window_for(self, load: Load) -> float:
        """In seconds. The count of callers says nothing of their rate."""
        return max(self.window_s, self.requests / load.value) if load.open_loop else self.window_s


FULL = Effort(window_s=2.0, requests=50, windows=6, attempts=3, slo_repeats=3)
QUICK = Effort(window_s=1.0, requests=20, windows=4, attempts=3, slo_repeats=1)


class Runner(Protocol):
    """Measures one load once; where a test puts a fake."""

    def run(self, load: Load) -> Outcome: ...


@dataclass(frozen=True)
class Target:
    """What is asked: a model of the Triton at `address`, with the input that a file holds."""

    address: str
    model: str
    input_file: Path
    parameters: tuple[tuple[str, str], ...] = ()
    shared_memory: bool = False


class PerfAnalyzerRunner:
    """The real one. What perf_analyzer writes stays in `out`, by the number of the run."""

    def __init__(self, program: PerfAnalyzer, target: Target, effort: Effort, out: Path) -> None:
        self._program, self._target, self._effort, self._out = program, target, effort, out
        self._runs = 0
        out.mkdir(parents=True, exist_ok=True)

    def run(self, load: Load) -> Outcome:
        self._runs += 1
        report = self._out / f"{self._runs:02}.csv"
        report.unlink(missing_ok=True)
        intervals = report.with_suffix(".intervals")
        if load.open_loop:
            # A seed for each run, so that repeats don't meet the same bursts.
            write_intervals(load.value, self._effort, self._runs, intervals)
        arguments = command(self._program.program, self._target, load, self._effort, report, intervals)
        status, said = self._finish(arguments, load)
        report.with_suffix(".txt").write_text(said)
        return Outcome(status, said, report.read_text() if report.exists() else "")

    def _finish(self, arguments: Sequence[str], load: Load) -> tuple[int, str]:
        limit = 2 * self._effort.windows * self._effort.window_for(load) + _START_AND_DRAIN_S
        try:
            done = subprocess.run(
                arguments,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=limit,
                env=self._program.environment(),
            )
        except subprocess.TimeoutExpired as error:
            said = (error.stdout or b"").decode(errors="replace")
            return -1, f"{said}\nperf_analyzer did not end within {limit:.0f} s and was ended"
        return done.returncode, done.stdout.decode(errors="replace")


def write_intervals(rate: float, effort: Effort, seed: int, path: Path) -> None:
    """Poisson arrivals as microseconds between them, `rate` a second to the digit over all windows.

    perf_analyzer's own are the same in every run, and their first 150 come at four fifths of the rate asked for.
    """
    seconds = _MARGIN * effort.windows * effort.window_for(Load(rate, open_loop=True))
    arrivals = [0.0, *poisson(rate, seconds, seed)]
    scale = (len(arrivals) - 1) / rate / arrivals[-1]
    gaps = (later - earlier for earlier, later in pairwise(arrivals))
    path.write_text("".join(f"{max(1, round(gap * scale * 1e6))}\n" for gap in gaps))


def command(program: Path, target: Target, load: Load, effort: Effort, report: Path, intervals: Path) -> list[str]:
    """One load each time: an unstable one would end a whole range, its figures so far included."""
    window_ms = round(effort.window_for(load) * 1000)
    arguments = [str(program), "-m", target.model, "-u", target.address, "-i", "grpc", "-v"]
    arguments += ["--input-data", str(target.input_file), "-f", str(report)]
    arguments += ["-p", str(window_ms), "-r", str(effort.windows), "-s", str(_STABILITY)]
    arguments += ["--percentile", str(_PERCENTILE)]
    # Without -a a stall holds back the requests after it, and is not seen.
    arguments += ["--request-intervals", str(intervals), "-a"] if load.open_loop else _callers(load)
    for name, value in target.parameters:
        arguments += ["--request-parameter", f"{name}:{value}:string"]
    if target.shared_memory:
        arguments += ["--shared-memory", "system", "--output-shared-memory-size", str(_SHARED_OUTPUT_BYTES)]
    return arguments


def _callers(load: Load) -> list[str]:
    return ["--concurrency-range", f"{load.value:g}"]
