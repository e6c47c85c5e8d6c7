"""Runs scenarios against a Triton, one after the other, and keeps what they came to."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from framelens_perf.analyzer.inputs import ModelInput, pictures, pixels, write_input
from framelens_perf.analyzer.install import PerfAnalyzer
from framelens_perf.analyzer.measure import Measurement
from framelens_perf.analyzer.output import Outcome
from framelens_perf.analyzer.probe import ProbedModel, connected
from framelens_perf.analyzer.results import Load, ScenarioResult
from framelens_perf.analyzer.runner import QUICK, Effort, PerfAnalyzerRunner, Runner, Target
from framelens_perf.analyzer.scenario import Scenario
from framelens_perf.analyzer.table import point_sentence
from framelens_perf.machine import machine
from framelens_perf.workload.frames import feed_frames

Say = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """What every scenario of one command shares."""

    program: PerfAnalyzer
    address: str
    pictures: Path
    out: Path
    effort: Effort


def run_scenarios(scenarios: dict[str, Scenario], bench: Bench, say: Say) -> list[ScenarioResult]:
    """In the order given; report.json is written after each. Raises RunError."""
    results: list[ScenarioResult] = []
    for name, scenario in scenarios.items():
        say(f"{name}: {scenario.about}")
        results.append(_run(name, scenario, bench, say))
        _write_report(results, bench)
    return results


def report(results: Sequence[ScenarioResult], bench: Bench) -> dict[str, object]:
    return {
        "machine": machine(),
        "perf_analyzer": bench.program.version,
        "quick": bench.effort is QUICK,
        "scenarios": [result.to_json() for result in results],
    }


class SettledRunner:
    """Lets the model empty its queues, and shows that it answers right, before each point."""

    def __init__(self, runner: Runner, model: ProbedModel, asked: ModelInput, parameters: dict[str, str]) -> None:
        self._runner, self._model, self._asked, self._parameters = runner, model, asked, parameters
        self.engines: dict[str, str] = {}

    def run(self, load: Load) -> Outcome:
        # All of the input once, and from then on one: it comes back after all that waited before it.
        values = self._asked.values[:1] if self.engines else self._asked.values
        self.engines |= self._model.ask(replace(self._asked, values=values), self._parameters)
        return self._runner.run(load)


def _run(name: str, scenario: Scenario, bench: Bench, say: Say) -> ScenarioResult:
    parameters = {"embedder": scenario.embedder} if scenario.takes_pictures else {}
    # The input is megabytes, and the same from the same seed, so it is not kept beside the results.
    with connected(bench.address, scenario.model) as model, TemporaryDirectory(prefix="framelens-analyze-") as scratch:
        model.check_ready()
        asked = _input(scenario, model, bench.pictures)
        input_file = Path(scratch) / "input.json"
        write_input(asked, input_file)
        target = Target(bench.address, scenario.model, input_file, tuple(parameters.items()), scenario.shared_memory)
        real = PerfAnalyzerRunner(bench.program, target, bench.effort, bench.out / name)
        runner = SettledRunner(real, model, asked, parameters)
        measurement = Measurement(runner, bench.effort, lambda point: say(f"  {point_sentence(point)}"))
        measurement.sweep(_loads(scenario))
        slo = measurement.search(scenario.slo) if scenario.slo else None
    points = tuple(measurement.points)
    return ScenarioResult(name, scenario.about, scenario.model, scenario.shared_memory, runner.engines, points, slo)


def _loads(scenario: Scenario) -> list[Load]:
    if scenario.poisson:
        return [Load(rate, open_loop=True) for rate in scenario.poisson]
    return [Load(callers, open_loop=False) for callers in scenario.concurrency]


def _input(scenario: Scenario, model: ProbedModel, samples: Path) -> ModelInput:
    frames = feed_frames(samples, scenario.frames)
    return pictures(frames) if scenario.takes_pictures else pixels(frames, *model.input_size())


def _write_report(results: Sequence[ScenarioResult], bench: Bench) -> None:
    (bench.out / "report.json").write_text(json.dumps(report(results, bench), indent=2) + "\n")
