"""`gpu-check` from the GPU that is there to its report, which is written whatever becomes of the steps."""

import json
from datetime import UTC, datetime
from pathlib import Path

from framelens_perf.gpu_check.check import Check, Settings
from framelens_perf.gpu_check.hardware import hardware, opened
from framelens_perf.gpu_check.report import Report
from framelens_perf.gpu_check.steps import Say, Steps
from framelens_perf.gpu_check.summary import summary


def gpu_check(settings: Settings, say: Say) -> Report:
    """Writes report.json and summary.md. Raises GpuMissing before anything is measured, CudaError, OSError."""
    device = opened(settings.ordinal)
    steps = Steps(say)
    report = Report(datetime.now(UTC).isoformat(timespec="seconds"), hardware(device), failures=steps.failures)
    try:
        Check(settings, device, report, steps).run()
    finally:
        write(report, settings.out)
    return report


def write(report: Report, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")
    (out / "summary.md").write_text(summary(report))
