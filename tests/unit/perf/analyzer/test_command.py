"""`analyze`: what is wrong is said before anything is fetched or started, and Triton is found as elsewhere."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from framelens_perf.analyzer import command
from framelens_perf.analyzer.inputs import ModelInput
from framelens_perf.analyzer.install import PerfAnalyzer
from framelens_perf.analyzer.output import Outcome
from framelens_perf.analyzer.results import Load
from framelens_perf.analyzer.run import SettledRunner

from .conftest import captured

ADDRESSES = {"grpc": "a", "http": "b", "triton_grpc": "127.0.0.1:7", "triton_metrics": "c", "milvus": "d", "pids": {}}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below one in which a stack runs; nothing is fetched."""
    monkeypatch.setattr(command, "install", lambda *_: PerfAnalyzer("1", Path("perf_analyzer"), tmp_path))
    (tmp_path / "var" / "samples").mkdir(parents=True)
    (tmp_path / "var" / "serve.json").write_text(json.dumps(ADDRESSES))
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    return below


def test_help_names_the_scenarios() -> None:
    assert "recognizer_slo" in CliRunner().invoke(command.analyze, ["--help"]).output


def test_an_unknown_scenario_starts_nothing(here: Path) -> None:
    done = CliRunner().invoke(command.analyze, ["nothing", "--pictures", str(here)])
    assert done.exit_code == 1
    assert "there is no scenario nothing" in done.output
    assert list(here.iterdir()) == []


def test_the_stack_of_a_folder_above_is_found(here: Path) -> None:
    with command._triton(None, here / "no-stack-command", here, here) as address:
        assert address == "127.0.0.1:7"
    with command._triton("told:1", here / "no-stack-command", here, here) as address:
        assert address == "told:1"


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON"])
def test_a_serve_file_that_names_no_triton(here: Path, content: str) -> None:
    (here.parent / "var" / "serve.json").write_text(content)
    done = CliRunner().invoke(command.analyze, ["detector_callers", "--pictures", str(here)])
    assert done.exit_code == 1
    assert "serve.json does not say where Triton is; pass --triton" in done.output


def test_all_is_asked_once_and_then_one_before_each_point() -> None:
    class Model:
        asked: list[int] = []  # noqa: RUF012 - of this test alone

        def ask(self, asked: ModelInput, parameters: dict[str, str]) -> dict[str, str]:
            self.asked.append(len(asked.values))
            return {"detector": "1"}

    class Runner:
        def run(self, load: Load) -> Outcome:
            return captured("poisson")

    model = Model()
    settled = SettledRunner(Runner(), model, ModelInput("images", "UINT8", (1,), (b"a", b"b", b"c")), {})
    for _ in range(3):
        settled.run(Load(1, open_loop=True))
    assert model.asked == [3, 1, 1]
    assert settled.engines == {"detector": "1"}
