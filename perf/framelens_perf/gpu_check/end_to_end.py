"""`recognizer` and its engines through the embedded Triton, as perf_analyzer sees them, and how busy the GPU is."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

from framelens_perf.analyzer.install import PerfAnalyzer, glibc_version, install, release_for
from framelens_perf.analyzer.results import Figures, Point
from framelens_perf.analyzer.run import Bench, run_scenarios
from framelens_perf.analyzer.runner import FULL, Effort
from framelens_perf.analyzer.scenario import Scenario
from framelens_perf.embedded_triton import embedded_triton
from framelens_perf.gpu_check.engines import EngineFile
from framelens_perf.gpu_check.failures import GpuCheckFailure
from framelens_perf.gpu_check.served_models import lay_out
from framelens_perf.gpu_check.steps import Say, Steps
from framelens_perf.gpu_check.utilisation import Utilisation
from framelens_perf.in_process import DETECTOR, EMBEDDER

RECOGNIZER = "recognizer"
MODELS = (RECOGNIZER, DETECTOR, EMBEDDER)
CALLERS = (1, 8, 32)
_CACHE = Path("var/cache/perf_analyzer")


@dataclass(frozen=True)
class ThroughTriton:
    """One model under so many callers at once; frames (or an engine's pictures) a second are its answers."""

    model: str
    callers: int
    # None where no measurement could be trusted; then `said` has the reason.
    figures: Figures | None
    said: str
    engines: dict[str, str]
    # In the busiest of the seconds that it ran; None where it was not measured.
    utilisation_percent: float | None

    def to_json(self) -> dict[str, Any]:
        figures = self.figures
        return {
            "model": self.model,
            "callers": self.callers,
            "per_second": figures and figures.throughput,
            "p50_ms": figures and figures.p50_ms,
            "p99_ms": figures and figures.p99_ms,
            "queue_ms": figures and figures.queue_ms,
            "requests": figures and figures.requests,
            "said": self.said,
            "engines": self.engines,
            "utilisation_percent": self.utilisation_percent,
        }


@dataclass
class EndToEnd:
    """What ran where, and what it came to."""

    # By model: the engine's file and what runs it; of recognizer, where its image operations are.
    served: dict[str, str] = field(default_factory=dict)
    points: list[ThroughTriton] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"served": self.served, "points": [point.to_json() for point in self.points]}


@dataclass(frozen=True)
class Serving:
    """What is served, from where, and what it is measured with; `watch` samples the GPU, where there is one."""

    repository: Path
    pictures: Path
    engines: Mapping[str, EngineFile]
    out: Path
    ordinal: int = 0
    watch: Callable[[], Utilisation] | None = None
    effort: Effort = FULL
    callers: tuple[int, ...] = CALLERS


def end_to_end(serving: Serving, found: EndToEnd, steps: Steps) -> None:
    """Fills `found`; each model and number of callers is a step. Raises StackFailure, AnalyzerError, OSError."""
    program = install(release_for(glibc_version()), _CACHE, steps.say)
    repository = serving.out / "model_repository"
    found.served.update(lay_out(serving.repository, repository, serving.engines, serving.ordinal))
    with embedded_triton(repository, serving.out) as address:
        found.served[RECOGNIZER] = _operations(address)
        asker = _Asker(serving, program, address, found, steps.say)
        for model in MODELS:
            for callers in serving.callers:
                steps.run(f"through Triton: {model}, {callers} at once", partial(asker.ask, model, callers))


@dataclass(frozen=True)
class _Asker:
    serving: Serving
    program: PerfAnalyzer
    address: str
    found: EndToEnd
    say: Say

    def ask(self, model: str, callers: int) -> None:
        """What cannot be trusted is kept too, and is a failure."""
        serving = self.serving
        out = serving.out / f"{model}-{callers}"
        bench = Bench(self.program, self.address, serving.pictures, out, serving.effort)
        shared_memory = model != RECOGNIZER
        scenario = Scenario(about="callers at once", model=model, concurrency=(callers,), shared_memory=shared_memory)
        with _watched(serving.watch) as busy:
            (result,) = run_scenarios({model: scenario}, bench, self.say)
        (point,) = result.points
        percent = None if busy is None else busy.busiest_percent()
        said = _doubt(point)
        self.found.points.append(ThroughTriton(model, callers, point.figures, said, result.engines, percent))
        if said:
            raise GpuCheckFailure(f"perf_analyzer's figures cannot be trusted: {said}")


def _doubt(point: Point) -> str:
    return "" if point.figures else f"{point.verdict}, {point.attempts} times ({point.said})"


@contextmanager
def _watched(watch: Callable[[], Utilisation] | None) -> Iterator[Utilisation | None]:
    if watch is None:
        yield None
        return
    with watch() as busy:
        yield busy


def _operations(address: str) -> str:
    """What recognizer says of itself, beside the refusal of an empty picture."""
    picture = InferInput("picture", [1, 1], "BYTES")
    picture.set_data_from_numpy(np.array([[b""]], np.object_))
    outputs = [InferRequestedOutput("operations")]
    with InferenceServerClient(address) as client:
        answer = client.infer(RECOGNIZER, [picture], outputs=outputs, parameters={"embedder": EMBEDDER})
    return str(answer.as_numpy("operations")[0, 0].decode())
