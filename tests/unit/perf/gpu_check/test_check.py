"""A whole check on a GPU that has no nvImageCodec and no engine: each step has its figure or its reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from framelens_perf.gpu_check import check
from framelens_perf.gpu_check.check import Settings
from framelens_perf.gpu_check.end_to_end import EndToEnd, Serving
from framelens_perf.gpu_check.failures import EngineMissing
from framelens_perf.gpu_check.run import gpu_check
from framelens_perf.gpu_check.steps import Steps

from .conftest import ClockedDriver

REPO = Path(__file__).parents[4]


def no_plan() -> Any:
    raise EngineMissing("no plan for this GPU")


def test_what_fails_is_recorded_and_the_rest_is_measured(
    driver: ClockedDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(REPO / "var" / "samples" / "chelsea.png") as file:
        picture = file.convert("RGB")
    monkeypatch.setattr(check, "sample_pictures", lambda _: [picture])
    monkeypatch.setattr(check, "candidates", lambda *_: [("plan", no_plan)])
    served: list[Serving] = []

    def end_to_end(serving: Serving, found: EndToEnd, steps: Steps) -> None:
        served.append(serving)
        found.served["recognizer"] = "image operations: CPU"

    monkeypatch.setattr(check, "end_to_end", end_to_end)
    said: list[str] = []
    settings = Settings(0, REPO / "var" / "samples", REPO / "model_repository", tmp_path, "fp16", 1.0)
    report = gpu_check(settings, said.append)
    assert not report.passed
    reasons = {failure.step: failure.error for failure in report.failures}
    assert "nvImageCodec is not installed" in reasons["image operations"]
    assert "no plan for this GPU" in reasons["engine of detector"]
    assert reasons["decode, batch 8"].endswith("needs the step `frames in the GPU's memory`, which failed")
    assert reasons["embed, batch 1"].endswith("needs the step `engine of embedder_effnet_lite0`, which failed")
    assert not {"kernels", "timing by CUDA events", "operations beside the CPU's"} & set(reasons)
    assert report.copied_bytes_per_s == pytest.approx(2 * 128 * 2**20 / 2e-3)
    assert report.differences
    assert all(each.held for each in report.differences)
    # Without a plan an engine is served on the CPU, and the rest of it is measured.
    assert {file.path.name for file in served[0].engines.values()} == {"model.onnx"}
    assert served[0].watch is not None
    assert "- recognizer: image operations: CPU" in (tmp_path / "summary.md").read_text()
    assert [target.kept for target in report.targets] == [None, None]
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["gpu"]["pci_address"] == "0000:01:00.0"
    assert len(written["failures"]) == len(reasons) == len(report.failures)
