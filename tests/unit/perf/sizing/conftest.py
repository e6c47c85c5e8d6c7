"""A report as `make perf` writes it, of a quiet machine with two cores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framelens_perf.sizing.costs import Costs, costs_of
from framelens_perf.sizing.report import Report

STAGES = {"decode": 3.0, "resize": 1.5, "detect": 14.0, "nms": 0.3, "crop": 1.5, "embed": 8.0}


def load(share: float) -> dict[str, Any]:
    return {
        "share": share,
        "offered_rate": 50 * share,
        "codes": {"OK": 100},
        "latency_ms": {"p50": 40.0, "p90": 60.0, "p99": 90.0},
        "honest": True,
        "triton": {
            "recognizer": {"requests": 100, "mean_batch": 1.1, "queue_ms": 1.0, "compute_ms": 30.0},
            "embedder_effnet_lite0": {"requests": 90, "mean_batch": 1.8, "queue_ms": 0.1, "compute_ms": 5.0},
        },
    }


def whole_report() -> dict[str, Any]:
    served = {**STAGES, "detect": 8.0, "embed": 5.0, "queue": 1.0, "search": 6.0}
    return {
        "time": "2026-11-25T00:00:00+0000",
        "machine": {"processor": "some", "cores": 2},
        "precision": "int8",
        "products": 10_000,
        "alone": {"stages_in_process_ms": 28.3, "gateway_added_ms": 2.0, "search_ms": 6.0, "stages_ms": served},
        "saturated": {
            "rate": 50.0,
            "one_core_ms": 29.0,
            "one_core_stages_ms": {**STAGES, "search": 0.7},
            "all_cores_rate": 65.0,
        },
        "curve": [load(0.3), load(0.9)],
    }


@pytest.fixture
def report() -> dict[str, Any]:
    return whole_report()


@pytest.fixture
def costs() -> Costs:
    return costs_of(Report.model_validate(whole_report()))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], Path]:
    def written(content: Any) -> Path:
        path = tmp_path / "report.json"
        path.write_text(json.dumps(content))
        return path

    return written
