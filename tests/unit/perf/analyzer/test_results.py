"""Tables and JSON say what can be trusted, and never show a number that cannot."""

import json
import re
from io import StringIO

import pytest
from rich.console import Console

from framelens_perf.analyzer.output import read_point
from framelens_perf.analyzer.results import Load, Point, ScenarioResult, SloResult
from framelens_perf.analyzer.table import point_sentence, print_results, slo_sentence

from .conftest import captured


def point(name: str, rate: float) -> Point:
    return read_point(Load(rate, open_loop=True), captured(name))


def result(*points: Point, slo: SloResult | None = None) -> ScenarioResult:
    return ScenarioResult("mine", "a test", "detector", True, {"detector": "3"}, points, slo)


def shown(found: ScenarioResult) -> list[str]:
    console = Console(width=160, file=StringIO(), record=True)
    print_results([found], console)
    return console.export_text().splitlines()


def test_the_table() -> None:
    lines = shown(result(point("poisson", 10), point("unstable", 4), point("delayed", 60), point("overloaded", 30)))
    text = "\n".join(lines)
    assert "mine: detector, shared memory (detector 3)" in text
    rows = {line.split()[0]: line.split()[2:] for line in lines if "requests/s" in line}
    assert rows["10"] == ["9.2", "24.2", "71.8", "84.5", "90.4", "5.4", "26.8", "≤1", "%", "66*"]
    assert rows["4"] == ["unstable"]
    assert rows["60"] == ["delayed", "99.1%"]
    assert rows["30"] == ["overloaded"]
    assert "* fewer than 100 requests" in text


def test_json_has_null_in_place_of_figures() -> None:
    found = json.loads(json.dumps(result(point("poisson", 10), point("unstable", 4)).to_json()))
    stable, unstable = found["points"]
    assert stable["figures"]["p99_ms"] == 90.447
    assert stable["load"] == {"kind": "poisson", "value": 10}
    assert (unstable["verdict"], unstable["figures"]) == ("unstable", None)


@pytest.mark.parametrize(
    ("name", "trusted"), [("poisson", True), ("overloaded", True), ("unstable", False), ("delayed", False)]
)
def test_what_makes_a_sweep_fail(name: str, trusted: bool) -> None:
    assert result(point("poisson", 10), point(name, 30)).trusted is trusted


@pytest.mark.parametrize(
    ("rate", "highest", "undecided", "sentence"),
    [
        (17.2, False, False, "mine: 17.2 requests/s keep p99 within 100 ms"),
        (17.2, True, False, "mine: at least 17.2 requests/s keep p99 within 100 ms"),
        (None, False, False, "mine: no rate kept p99 within 100 ms, not even the lowest"),
        (None, False, True, "mine: no rate kept .* was unstable, so measure again"),
    ],
)
def test_what_a_search_came_to(rate: float | None, highest: bool, undecided: bool, sentence: str) -> None:
    found = SloResult(100, rate, None, highest, undecided)
    said = slo_sentence("mine", found)
    assert re.match(sentence, said)
    assert result(point("unstable", 4), slo=found).trusted is not undecided


def test_progress() -> None:
    assert point_sentence(point("poisson", 10)) == "10 requests/s: 9.2 answers/s, p99 90 ms"
    assert point_sentence(point("overloaded", 30)) == "30 requests/s: overloaded (17.8 answers/s of 30 asked)"
