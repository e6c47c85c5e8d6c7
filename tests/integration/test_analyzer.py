"""perf_analyzer against the real Triton, for a few seconds: figures of every kind of load, and plain refusals."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The measurements live in the server's environment, the tests of the stack in the gateway's.
COMMAND = [ROOT / ".venv/server/bin/framelens-perf", "analyze"]

SCENARIOS = {
    "callers": "about: a test\nmodel: detector\nshared_memory: true\nframes: 2\nconcurrency: [1]\n",
    "rates": "about: a test\nmodel: embedder_effnet_lite0\nframes: 2\npoisson: [10]\n",
    "frames": "about: a test\nmodel: recognizer\nframes: 2\nconcurrency: [1]\n",
    "unknown_space": "about: a test\nmodel: recognizer\nembedder: embedder_nobody\nframes: 2\nconcurrency: [1]\n",
    "unknown_model": "about: a test\nmodel: embedder_nobody\nframes: 2\nconcurrency: [1]\n",
}
Analyze = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def analyze(stack: object, tmp_path: Path) -> Analyze:
    def run(*names: str) -> "subprocess.CompletedProcess[str]":
        paths = [tmp_path / f"{name}.yaml" for name in names]
        for path in paths:
            path.write_text(SCENARIOS[path.stem])
        options = ["--quick", "--json", f"--triton={stack['triton_grpc']}", f"--out={tmp_path / 'out'}"]
        return subprocess.run([*COMMAND, *options, *paths], cwd=ROOT, capture_output=True, text=True, check=False)

    return run


def test_every_kind_of_model_is_measured(analyze: Analyze, tmp_path: Path) -> None:
    done = analyze("callers", "rates", "frames")
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    engines = [scenario["engines"] for scenario in report["scenarios"]]
    assert engines == [
        {"detector": "1"},
        {"embedder_effnet_lite0": "1"},
        {"detector": "1", "embedder_effnet_lite0": "1"},
    ]
    for scenario in report["scenarios"]:
        (point,) = scenario["points"]
        # A machine that is busy may well give no stable point; then there is no number either.
        assert (point["verdict"] == "stable") == (point["figures"] is not None)
        if point["figures"]:
            assert 0 < point["figures"]["p50_ms"] <= point["figures"]["p99_ms"]
            assert point["figures"]["compute_infer_ms"] > 0
    assert (tmp_path / "out" / "callers" / "01.txt").read_text().count("Request concurrency: 1")


def test_pictures_that_recognizer_cannot_answer_are_no_success(analyze: Analyze) -> None:
    done = analyze("unknown_space")
    assert done.returncode == 1
    assert "embedder_nobody" in done.stderr.splitlines()[-1]
    assert not done.stdout


def test_a_model_that_is_not_loaded(analyze: Analyze) -> None:
    done = analyze("unknown_model")
    assert done.returncode == 1
    assert "embedder_nobody is not loaded in the Triton at 127.0.0.1:" in done.stderr
    assert "run `make engines`" in done.stderr
