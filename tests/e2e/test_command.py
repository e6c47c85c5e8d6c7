"""The `framelens` command against the served stack, and `make demo`."""

import json
import subprocess
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SERVER = ROOT / ".venv" / "server" / "bin"


def framelens(environment: dict[str, str], *arguments: str, status: int = 0) -> str:
    done = subprocess.run(["framelens", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_import_then_recognise_then_delete(environment: dict[str, str], tmp_path: Path) -> None:
    catalogue = "perf/framelens_perf/sample_catalog.csv"
    imported = ("products", "import", catalogue, "--images", "var/samples", "--state", str(tmp_path / "state"))
    assert "23 stored" in framelens(environment, *imported)
    assert "23 unchanged" in framelens(environment, *imported)
    drawn = tmp_path / "answer.png"
    answer = json.loads(framelens(environment, "recognize", "var/samples/coffee.png", "--json"))
    assert answer["objects"][0]["matches"][0]["id"] == "mug-espresso"
    framelens(environment, "recognize", "var/samples/coffee.png", "--draw", str(drawn))
    with Image.open(drawn) as picture:
        assert picture.size == (600, 400)
    found = framelens(environment, "search", "var/samples/astronaut.png", "--region", "0.55,0.65,0.99,1.0")
    assert "Space helmet" in found
    framelens(environment, "products", "delete", "helmet-white")
    framelens(environment, "products", "get", "helmet-white", status=1)
    assert "SERVING" in framelens(environment, "status").upper()


def test_a_rejected_row_is_reported_and_the_rest_is_stored(environment: dict[str, str], tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.csv"
    catalogue.write_text(
        "id,title,url,merchant,category,price,currency,image\n"
        "good,,,,,1,EUR,coins.png\n"
        ",no id,,,,1,EUR,coins.png\n"
        "gone,,,,,1,EUR,missing.png\n"
    )
    done = subprocess.run(
        ["framelens", "products", "import", str(catalogue), "--images", "var/samples"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "line 3" in done.stderr and "line 4" in done.stderr
    assert "1 stored" in done.stdout and "2 rejected" in done.stdout


@pytest.mark.timeout(300)
def test_the_demo_answers_as_expected_and_within_its_bars(tmp_path: Path) -> None:
    done = subprocess.run(
        [SERVER / "framelens-perf", "demo", f"--out={tmp_path}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["recall"]["at_1"] >= 0.97
    assert len(list(tmp_path.glob("*.png"))) == len(report["frames"])
    for frame in report["frames"]:
        assert {"name", "latency_ms", "stages_ms", "objects"} <= set(frame)
    # Ratios of one run; the absolute bar on the gateway's milliseconds is printed, not asserted.
    assert report["overhead"]["recognizer_over_stages"] <= 1.35
