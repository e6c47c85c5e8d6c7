"""`size`: answers in a table or as JSON, checks itself against a report, and says what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from framelens_perf.sizing import check as check_module
from framelens_perf.sizing import smallest as smallest_module
from framelens_perf.sizing.command import size


@pytest.fixture(autouse=True)
def few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smallest_module, "_FEWEST_REQUESTS", 600)
    monkeypatch.setattr(check_module, "_REQUESTS", 600)


@pytest.fixture
def path(write: Callable[[Any], Path], report: dict[str, Any]) -> str:
    return str(write(report))


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(size, arguments)
    return done.exit_code, done.output


def test_a_table_has_every_part(path: str) -> None:
    code, said = run("--rate", "60", "--catalog", "10000", "--report", path)
    assert code == 0
    assert all(part in said for part in ("cores", "gateways", "Milvus Lite", "network", "simulated at 78 frames/s"))
    assert "GPUs" not in said


def test_json_says_what_it_rests_on(path: str) -> None:
    code, said = run(
        *("--rate", "600", "--catalog", "50000", "--report", path, "--gpus", "--assume", "gpu_detect_ms=2", "--json")
    )
    assert code == 0
    found = json.loads(said)
    assert found["assumed"]["gpu_detect_ms"] == 2
    assert found["costs"]["cores"] == 2
    assert found["sizing"]["parts"]["gpus"] >= 2
    assert found["sizing"]["search"]["model"] == "milvus"


def test_a_check_has_a_line_for_each_load(path: str) -> None:
    code, said = run("--check", "--report", path)
    assert code == 0
    assert all(shown in said for shown in ("15.0", "45.0", "by chance", "callers who never pause got 50.0"))


def test_a_check_is_the_same_again_and_is_held_against_what_was_measured(path: str) -> None:
    code, said = run("--check", "--report", path, "--json")
    assert (code, said) == run("--check", "--report", path, "--json")
    light, heavy = (each["p99"] for each in json.loads(said)["loads"])
    assert light["error"] == pytest.approx(light["simulated"] / 90 - 1)
    assert light["least"] <= light["simulated"] <= light["most"] < heavy["most"]


def test_nothing_asked_is_a_mistake(path: str) -> None:
    code, said = run("--rate", "5", "--report", path)
    assert code == 2
    assert "give --rate and --catalog, or --check" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "-1"), "rate is -1; give a number above 0"),
        (("--slo-ms", "1"), "takes"),
        (("--assume", "speed=9"), "there are pictures_per_product"),
        (("--report", "nowhere"), "nowhere is no report"),
    ],
)
def test_what_is_wrong_is_said(path: str, arguments: tuple[str, ...], said: str) -> None:
    code, output = run("--rate", "60", "--catalog", "10000", "--report", path, *arguments)
    assert code == 1
    assert said in output
