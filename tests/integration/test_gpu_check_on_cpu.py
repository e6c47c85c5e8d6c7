"""The end-to-end part of `gpu-check`, with the CPU's engines: a Triton of its own, perf_analyzer, and a report."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [ROOT / ".venv/server/bin/framelens-perf", "gpu-check", "--cpu"]


@pytest.mark.timeout(600)
def test_it_serves_measures_and_reports_without_a_gpu(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, f"--out={tmp_path}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads((tmp_path / "end_to_end.json").read_text())
    assert found["served"]["recognizer"].startswith("image operations: ")
    assert found["served"]["detector"].endswith("model.onnx by onnxruntime on the CPU")
    assert [(point["model"], point["callers"]) for point in found["points"]] == [
        (model, callers) for model in ("recognizer", "detector", "embedder_effnet_lite0") for callers in (1, 4)
    ]
    for point in found["points"]:
        assert point["engines"], done.stderr
        # A machine that is busy may well give no stable point; then there is no number either.
        assert (point["per_second"] is None) == bool(point["said"])
        assert point["per_second"] is None or 0 < point["p50_ms"] <= point["p99_ms"]
        assert f"| {point['model']} | {point['callers']} | " in done.stdout
    assert bool(found["failures"]) is (done.returncode == 1) is any(point["said"] for point in found["points"])
    # Triton has been stopped.
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if _serves(path, tmp_path)]


def _serves(cmdline: Path, folder: Path) -> bool:
    try:
        return os.fsencode(str(folder / "triton" / "model_repository")) in cmdline.read_bytes()
    except OSError:  # It has ended since.
        return False
