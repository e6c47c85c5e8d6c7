"""`gpu-check` from the GPU that is there to its report, which is written whatever becomes of the steps."""

import json
from datetime import UTC, datetime
from pathlib import Path

from framelens_perf.analyzer.runner import Effort
from framelens_perf.gpu_check.check import Check, Settings
from framelens_perf.gpu_check.end_to_end import EndToEnd, Serving, end_to_end
from framelens_perf.gpu_check.engines import fp32_engine
from framelens_perf.gpu_check.hardware import hardware, opened
from framelens_perf.gpu_check.report import Report
from framelens_perf.gpu_check.steps import Failure, Say, Steps
from framelens_perf.gpu_check.summary import summary
from framelens_perf.in_process import DETECTOR, EMBEDDER

# Of a look at whether it works, on cores that do all of it.
_BRIEFLY = Effort(window_s=1.0, requests=20, windows=4, attempts=2, slo_repeats=1)


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


def end_to_end_on_cpu(settings: Settings, say: Say) -> tuple[EndToEnd, list[Failure]]:
    """Shows that this part works where no GPU is; writes end_to_end.json. Raises EngineMissing, OSError."""
    engines = {model: fp32_engine(settings.model_repository / model) for model in (DETECTOR, EMBEDDER)}
    out = settings.out / "triton"
    serving = Serving(settings.model_repository, settings.pictures, engines, out, effort=_BRIEFLY, callers=(1, 4))
    found, steps = EndToEnd(), Steps(say)
    steps.run("end to end through Triton", lambda: end_to_end(serving, found, steps))
    failures = [failure.to_json() for failure in steps.failures]
    settings.out.mkdir(parents=True, exist_ok=True)
    said = found.to_json() | {"failures": failures}
    (settings.out / "end_to_end.json").write_text(json.dumps(said, indent=2) + "\n")
    return found, steps.failures


def write(report: Report, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")
    (out / "summary.md").write_text(summary(report))
