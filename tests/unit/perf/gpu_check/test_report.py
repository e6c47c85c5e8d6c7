"""Targets, failures, and the verdict and page made of them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from framelens_perf.analyzer.results import Figures
from framelens_perf.gpu_check.end_to_end import EndToEnd, ThroughTriton
from framelens_perf.gpu_check.engines import Choice
from framelens_perf.gpu_check.equality import EXACT, Difference
from framelens_perf.gpu_check.pipeline import PipelineRate, Rate, summed
from framelens_perf.gpu_check.report import Report, Whole
from framelens_perf.gpu_check.run import write
from framelens_perf.gpu_check.stages import Measured
from framelens_perf.gpu_check.steps import Failure, Steps
from framelens_perf.gpu_check.summary import summary
from framelens_perf.gpu_check.targets import decode_bound, throughput_kept

from .test_hardware import card


def measured(stage: str, device_ms: float, wall_ms: float = 1.0, rows: int = 8) -> Measured:
    return Measured(stage, rows, device_ms, wall_ms, device_ms / 4, "bytes")


def stages(decode_ms: float) -> dict[str, Measured]:
    others = {name: measured(name, 0.5) for name in ("resize", "detect", "crop", "embed")}
    return {"decode": measured("decode", decode_ms, 8.0), **others}


def passing() -> Report:
    found = stages(5.0)
    rate = PipelineRate(8, 2, 900.0, 20.0)
    report = Report("2026-11-25T00:00:00+00:00", card((8, 9)), 50e9, card((8, 9)).peaks(50e9))
    report.engines = {"detector": Choice(said=["TensorRT plan, fp16: PlanError: no", "ONNX Runtime: runs"])}
    report.differences = [Difference("resize", 3, 0.0, 0, EXACT), Difference("decode", 3, 0.8, 9, None)]
    report.stages = list(found.values())
    report.wholes = [Whole(8, 14, found, rate)]
    report.pipeline, report.utilisation_percent = rate, 87.0
    figures = Figures(300, 450.0, 10.0, 12.0, 14.0, 20.5, 1.0, 0.1, 8.0, 0.1)
    served = {"recognizer": "image operations: GPU 0", "detector": "model.plan by tensorrt on GPU 0"}
    points = [
        ThroughTriton("recognizer", 8, figures, "", {"detector": "1"}, 71.0),
        ThroughTriton("detector", 8, None, "unstable, 3 times (no)", {}, None),
    ]
    report.end_to_end = EndToEnd(served, points)
    report.targets = [decode_bound(found), throughput_kept(found, rate)]
    return report


def test_decode_bound_is_less_than_a_third_of_device_time() -> None:
    kept, missed = decode_bound(stages(4.1)), decode_bound(stages(4.0))
    assert (kept.kept, kept.value) == (True, pytest.approx(2 / 6.1))
    assert (missed.kept, missed.value) == (False, pytest.approx(1 / 3))


def test_throughput_is_beside_the_slowest_stage_at_eight_frames() -> None:
    # Decoding takes 8 ms for 8 frames: 1000 frames/s alone.
    kept = throughput_kept(stages(4.0), PipelineRate(8, 2, 700.0, 1.0))
    missed = throughput_kept(stages(4.0), PipelineRate(8, 2, 699.0, 1.0))
    assert (kept.kept, kept.value) == (True, pytest.approx(0.7))
    assert missed.kept is False
    assert "decode alone 1000 frames/s" in missed.because


def test_crops_of_a_batch_count_by_its_frames() -> None:
    found = stages(4.0) | {"embed": measured("embed", 0.5, 16.0, rows=24)}
    assert throughput_kept(found, PipelineRate(8, 2, 400.0, 1.0)).value == pytest.approx(0.8)


def test_what_was_not_measured_is_not_kept() -> None:
    assert decode_bound(None).kept is None
    assert throughput_kept(stages(4.0), None).kept is None


def test_rates_of_processes_add_up_and_their_batches_share_a_p99() -> None:
    rate = summed(8, [Rate(80, 2.0, (10.0,) * 99), Rate(120, 2.0, (30.0,))])
    assert (rate.frames_per_s, rate.instances) == (100.0, 2)
    assert 10.0 <= rate.p99_batch_ms < 30.0


def test_a_report_passes_only_when_all_ran_held_and_was_kept() -> None:
    assert passing().passed
    for name, value in (
        ("failures", [Failure("kernels", "CudaError: no", "")]),
        ("targets", []),
        ("targets", [decode_bound(None)]),
        ("targets", [decode_bound(stages(1.0))]),
        ("differences", [Difference("resize", 3, 1.0, 1, EXACT)]),
    ):
        assert not replace(passing(), **{name: value}).passed, name


def test_a_step_that_fails_leaves_the_others_their_turn() -> None:
    said: list[str] = []
    steps = Steps(said.append)

    def fails() -> None:
        raise ValueError("it is broken")

    assert steps.run("first", fails) is None
    assert steps.run("second", lambda: 7) == 7
    (failure,) = steps.failures
    assert (failure.step, failure.error) == ("first", "ValueError: it is broken")
    assert "in fails" in failure.trace
    assert said == ["first", "  failed: ValueError: it is broken", "second"]


def test_report_and_page_say_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    write(passing(), tmp_path / "gpu")
    report = json.loads((tmp_path / "gpu" / "report.json").read_text())
    assert report["passed"] is True
    assert report["recognizer"][0]["objects"] == 14
    first, second = report["end_to_end"]["points"]
    assert (first["per_second"], first["p99_ms"], first["utilisation_percent"]) == (450.0, 20.5, 71.0)
    assert (second["per_second"], second["said"]) == (None, "unstable, 3 times (no)")
    assert report["stages"][0] | {"per_second": 1000, "share_of_floor": 0.25} == report["stages"][0]
    page = (tmp_path / "gpu" / "summary.md").read_text()
    assert page.startswith("# gpu-check: passed")
    for part in (
        "PlanError: no",
        "| decode | 8 | 5.000 | 8.000 | 1000 |",
        "GPU utilisation 87 %",
        "- detector: model.plan by tensorrt on GPU 0",
        "| recognizer | 8 | 450 | 10.0 | 20.5 | 1.0 | 71 % |",
        "| detector | 8 | unstable, 3 times (no) |  |  |  | not measured |",
        "NVIDIA's Triton with its native backends",
    ):
        assert part in page


def test_the_page_of_a_check_that_failed_begins_with_why() -> None:
    report = Report("now", card((99, 0)))
    report.failures = [Failure("kernels", "CudaError: no image", "")]
    report.targets = [decode_bound(None)]
    page = summary(report)
    assert page.startswith("# gpu-check: FAILED")
    assert page.index("kernels: CudaError: no image") < page.index("not measured: decode-bound")
