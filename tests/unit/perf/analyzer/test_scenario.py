"""Scenario files: the packaged ones are right, and a wrong one is told file, field and what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from framelens_perf.analyzer.errors import ScenarioError
from framelens_perf.analyzer.scenario import load, packaged, scenario_path

GOOD = "about: a test\nmodel: detector\nconcurrency: [1, 2]\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write_to(content: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(content)
        return path

    return write_to


@pytest.mark.parametrize("name", packaged())
def test_a_packaged_scenario(name: str) -> None:
    assert load(scenario_path(name)).about


def test_the_packaged_scenarios_cover_every_model_and_load() -> None:
    scenarios = [load(scenario_path(name)) for name in packaged()]
    assert {each.model for each in scenarios} == {"recognizer", "detector", "embedder_effnet_lite0"}
    assert all(any(getattr(each, kind) for each in scenarios) for kind in ("concurrency", "poisson", "slo"))
    assert any(each.shared_memory for each in scenarios)


def test_a_file_of_ones_own(write: Callable[[str], Path]) -> None:
    path = write(GOOD)
    assert scenario_path(str(path)) == path
    assert load(path).concurrency == (1, 2)


def test_a_name_that_is_none() -> None:
    with pytest.raises(ScenarioError, match="no scenario nothing; name a file or one of detector_callers, "):
        scenario_path("nothing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: [", "mine.yaml cannot be read"),
        ("- model", "is not a list of fields; begin with `model: recognizer`"),
        (GOOD.replace("detector", "resnet"), "model is 'resnet'; name recognizer, detector or an embedder_..."),
        (GOOD.replace("about: a test", ""), "about is missing; add it"),
        (GOOD + "rates: [1]", "rates is no field of a scenario; take it out, or write one of about, model"),
        (GOOD + "poisson: [5]", "give one of concurrency"),
        ("about: a test\nmodel: detector\n", "give one of concurrency"),
        (GOOD.replace("[1, 2]", "[0]"), "concurrency.0 is 0: Input should be greater than or equal to 1"),
        (GOOD.replace("concurrency: [1, 2]", "poisson: [-1]"), "poisson.0 is -1: Input should be greater than 0"),
        (GOOD.replace("detector", "recognizer") + "shared_memory: true", "shared_memory is for detector and embedders"),
        ("about: a\nmodel: detector\nslo: {p99_ms: 9, lowest: 5, highest: 5}", "slo is not right: lowest is 5"),
        ("about: a\nmodel: detector\nslo: {p99_ms: 9, lowest: 5}", "slo.highest is missing; add it"),
        ("about: a\nmodel: detector\nslo: {p99_ms: 9, least: 5}", "slo.least is no field .* one of p99_ms, lowest"),
    ],
)
def test_a_wrong_file(write: Callable[[str], Path], content: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as raised:
        load(write(content))
    assert "mine.yaml" in str(raised.value)
