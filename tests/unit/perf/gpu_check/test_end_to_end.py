"""What is laid out for the embedded Triton, and what is kept of each point; the real Triton is in tests/integration."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from framelens_perf.analyzer.results import Figures, Load, Point, ScenarioResult, Verdict
from framelens_perf.gpu_check import end_to_end as module
from framelens_perf.gpu_check.end_to_end import EndToEnd, Serving, end_to_end
from framelens_perf.gpu_check.engines import EngineFile
from framelens_perf.gpu_check.failures import GpuCheckFailure
from framelens_perf.gpu_check.served_models import lay_out
from framelens_perf.gpu_check.steps import Steps
from framelens_perf.gpu_check.utilisation import Utilisation

REPO = Path(__file__).parents[4]
FIGURES = Figures(100, 40.0, 20.0, 22.0, 24.0, 30.0, 1.0, 0.1, 18.0, 0.1)


@pytest.fixture
def engines(tmp_path: Path) -> dict[str, EngineFile]:
    """A plan that a check has built, and an ONNX engine of the repository."""
    files = {"detector": tmp_path / "staging/detector/7/model.plan", "embedder_effnet_lite0": tmp_path / "1/model.onnx"}
    for file in files.values():
        file.parent.mkdir(parents=True)
        file.write_bytes(b"engine")
        file.with_name("engine.json").write_text(json.dumps({"build": 5}))
    return {model: EngineFile(file) for model, file in files.items()}


def config(folder: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def test_a_plan_is_served_on_the_gpu_and_the_rest_where_it_runs(tmp_path: Path, engines: dict[str, EngineFile]) -> None:
    (tmp_path / "out" / "stale").mkdir(parents=True)
    said = lay_out(REPO / "model_repository", tmp_path / "out", engines, 0)
    assert said["detector"].endswith("7/model.plan by tensorrt on GPU 0")
    assert said["embedder_effnet_lite0"].endswith("1/model.onnx by onnxruntime on the CPU")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"recognizer", *engines}
    detector = config(tmp_path / "out" / "detector")
    assert (detector.backend, detector.max_batch_size) == ("tensorrt", 32)
    assert detector.parameters["FORCE_CPU_ONLY_INPUT_TENSORS"].string_value == "no"
    assert [(group.kind, list(group.gpus)) for group in detector.instance_group] == [(1, [0])]
    files = {path.name for path in (tmp_path / "out" / "detector").iterdir()}
    assert {"7", "labels.txt"} <= files
    assert "1" not in files
    assert (tmp_path / "out" / "detector" / "7" / "engine.json").is_file()
    for model in ("embedder_effnet_lite0", "recognizer"):
        assert config(tmp_path / "out" / model) == config(REPO / "model_repository" / model)


def test_plans_are_described_as_in_docker(tmp_path: Path, engines: dict[str, EngineFile]) -> None:
    lay_out(REPO / "model_repository", tmp_path / "out", engines, 0)
    ours = config(tmp_path / "out" / "detector")
    named = REPO / "docker/triton/model_configs/detector/configs/tensorrt.pbtxt"
    theirs = text_format.Parse(named.read_text(), model_config_pb2.ModelConfig())
    for group in ours.instance_group:
        group.ClearField("gpus")
    assert ours == theirs


def test_a_configuration_that_the_environment_names_is_not_met(tmp_path: Path, engines: dict[str, EngineFile]) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(REPO / "model_repository", repository, ignore=shutil.ignore_patterns("configs", "*.onnx"))
    for model in ("detector", "recognizer"):
        (repository / model / "configs").mkdir()
        (repository / model / "configs" / "tensorrt.pbtxt").touch()
    lay_out(repository, tmp_path / "out", engines, 0)
    assert not list((tmp_path / "out").glob("*/configs"))


def test_another_gpu_is_named_to_all_that_works_on_it(tmp_path: Path, engines: dict[str, EngineFile]) -> None:
    lay_out(REPO / "model_repository", tmp_path / "out", engines, 2)
    for model in ("detector", "recognizer"):
        groups = config(tmp_path / "out" / model).instance_group
        assert [(group.kind, list(group.gpus)) for group in groups] == [(1, [2])]


class Busy:
    """In Utilisation's place."""

    def __enter__(self) -> "Busy":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def busiest_percent(self) -> float:
        return 64.0


@pytest.fixture
def serving(tmp_path: Path, engines: dict[str, EngineFile], monkeypatch: pytest.MonkeyPatch) -> Serving:
    """Nothing is fetched, started or measured: the detector is unstable under eight callers."""

    @contextmanager
    def triton(repository: Path, folder: Path) -> Iterator[str]:
        assert (repository / "recognizer" / "1" / "model.py").is_file()
        yield "127.0.0.1:1"

    def run(scenarios: dict[str, Any], bench: Any, say: Any) -> list[ScenarioResult]:
        ((name, scenario),) = scenarios.items()
        (callers,) = scenario.concurrency
        assert scenario.shared_memory is (name != "recognizer")
        unstable = (name, callers) == ("detector", 8)
        verdict, figures = (Verdict.UNSTABLE, None) if unstable else (Verdict.STABLE, FIGURES)
        point = Point(Load(callers, open_loop=False), verdict, figures, None, "no" if unstable else "", 3)
        return [ScenarioResult(name, "", name, scenario.shared_memory, {name: "7"}, (point,))]

    monkeypatch.setattr(module, "install", lambda *_: None)
    monkeypatch.setattr(module, "embedded_triton", triton)
    monkeypatch.setattr(module, "_operations", lambda _: "image operations: GPU 0")
    monkeypatch.setattr(module, "run_scenarios", run)
    return Serving(REPO / "model_repository", tmp_path, engines, tmp_path / "out", watch=Busy, callers=(1, 8))


def test_every_point_is_kept_and_one_that_cannot_be_trusted_is_a_failure(serving: Serving) -> None:
    found, steps = EndToEnd(), Steps(lambda _: None)
    end_to_end(serving, found, steps)
    assert found.served["recognizer"] == "image operations: GPU 0"
    assert [(point.model, point.callers) for point in found.points] == [
        (model, callers) for model in ("recognizer", "detector", "embedder_effnet_lite0") for callers in (1, 8)
    ]
    assert {point.utilisation_percent for point in found.points} == {64.0}
    doubtful = found.points[3]
    assert (doubtful.figures, doubtful.said) == (None, "unstable, 3 times (no)")
    (failure,) = steps.failures
    assert failure.step == "through Triton: detector, 8 at once"
    assert "cannot be trusted: unstable, 3 times (no)" in failure.error


def samples(*taken: int) -> Utilisation:
    busy = Utilisation.__new__(Utilisation)
    busy._samples, busy._failure = list(taken), None
    return busy


def test_the_steady_part_of_a_load_is_its_busiest_two_seconds() -> None:
    assert samples(*[0] * 20, *[90] * 8, 80, 80, *[0] * 5).busiest_percent() == pytest.approx(88)
    assert samples(50, 100).busiest_percent() == 75
    with pytest.raises(GpuCheckFailure, match="measure for longer"):
        samples().busiest_percent()
