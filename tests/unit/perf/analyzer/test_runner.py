"""The command line: one load, windows long enough for its rate, and what each kind of load needs."""

import sys
from pathlib import Path

import pytest

from framelens_perf.analyzer import runner
from framelens_perf.analyzer.install import PerfAnalyzer
from framelens_perf.analyzer.output import read_point
from framelens_perf.analyzer.results import Load, Verdict
from framelens_perf.analyzer.runner import FULL, Effort, PerfAnalyzerRunner, Target, command, write_intervals

TARGET = Target("127.0.0.1:1", "recognizer", Path("input.json"), (("embedder", "embedder_x"),))


def arguments(load: Load, target: Target = TARGET) -> str:
    return " ".join(command(Path("perf_analyzer"), target, load, FULL, Path("out.csv"), Path("out.intervals")))


def test_an_open_loop_is_asynchronous() -> None:
    line = arguments(Load(7.5, open_loop=True))
    assert "--request-intervals out.intervals -a" in line
    assert "--request-parameter embedder:embedder_x:string" in line
    assert "--percentile 99" in line


def test_a_window_holds_about_as_many_requests_at_every_rate() -> None:
    assert "-p 10000 " in arguments(Load(5, open_loop=True))
    assert "-p 2000 " in arguments(Load(400, open_loop=True))
    assert "-p 2000 " in arguments(Load(5, open_loop=False))


def test_arrivals_have_the_rate_and_differ_by_run(tmp_path: Path) -> None:
    def drawn(seed: int) -> list[int]:
        write_intervals(20, FULL, seed, tmp_path / "intervals")
        return [int(line) for line in (tmp_path / "intervals").read_text().split()]

    gaps = drawn(1)
    assert len(gaps) * 1e6 / sum(gaps) == pytest.approx(20, rel=1e-4)
    assert sum(gaps) / 1e6 > FULL.windows * FULL.window_for(Load(20, open_loop=True))
    assert gaps == drawn(1) != drawn(2)


def test_callers_at_once() -> None:
    line = arguments(Load(8, open_loop=False))
    assert "--concurrency-range 8" in line
    assert "-a" not in line.split()


def test_shared_memory() -> None:
    line = arguments(Load(1, open_loop=False), Target("127.0.0.1:1", "detector", Path("i"), shared_memory=True))
    assert "--shared-memory system --output-shared-memory-size" in line
    assert "--request-parameter" not in line


def script(tmp_path: Path, body: str) -> PerfAnalyzer:
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    program.chmod(0o755)
    return PerfAnalyzer("1", program, tmp_path)


def test_what_it_says_and_writes_is_kept(tmp_path: Path) -> None:
    body = "open(sys.argv[sys.argv.index('-f') + 1], 'w').write('a,b')\nprint('said')\nsys.exit(2)"
    outcome = PerfAnalyzerRunner(script(tmp_path, body), TARGET, FULL, tmp_path / "out").run(Load(1, open_loop=False))
    assert (outcome.status, outcome.said, outcome.csv) == (2, "said\n", "a,b")
    assert (tmp_path / "out" / "01.txt").read_text() == "said\n"


def test_a_csv_of_an_earlier_run_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "01.csv").write_text("old")
    outcome = PerfAnalyzerRunner(script(tmp_path, "pass"), TARGET, FULL, tmp_path).run(Load(1, open_loop=False))
    assert outcome.csv == ""


def test_a_run_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_START_AND_DRAIN_S", 0.5)
    hanging = script(tmp_path, "print('Pass [1]', flush=True)\ntime.sleep(60)")
    effort = Effort(window_s=0, requests=0, windows=1, attempts=1, slo_repeats=1)
    load = Load(1, open_loop=False)
    outcome = PerfAnalyzerRunner(hanging, TARGET, effort, tmp_path).run(load)
    assert outcome.said.startswith("Pass [1]\n")
    assert read_point(load, outcome).verdict is Verdict.UNSTABLE
