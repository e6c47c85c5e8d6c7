"""A report as a page to read, in Markdown."""

from collections.abc import Sequence

from framelens_perf.gpu_check.end_to_end import EndToEnd, ThroughTriton
from framelens_perf.gpu_check.equality import Difference
from framelens_perf.gpu_check.report import NOT_MEASURED, Report, Whole
from framelens_perf.gpu_check.stages import Measured
from framelens_perf.gpu_check.targets import Target

_VERDICTS = {True: "kept", False: "MISSED", None: "not measured"}
_HELD = {True: "held", False: "NOT HELD", None: "no tolerance is stated"}


def summary(report: Report) -> str:
    parts = [
        f"# gpu-check: {'passed' if report.passed else 'FAILED'}",
        _machine(report),
        "## Failures" if report.failures else "",
        _bullets([f"{failure.step}: {failure.error}" for failure in report.failures]),
        "## Targets",
        _bullets([_target(target) for target in report.targets]),
        "## Engines",
        _bullets([f"{model}: {'; '.join(choice.said)}" for model, choice in report.engines.items()]),
        "## Stages",
        _stages(report.stages),
        "## recognizer",
        _wholes(report.wholes),
        _pipeline(report),
        "## Through Triton",
        end_to_end_page(report.end_to_end),
        "## The same as on the CPU",
        _differences(report.differences),
        "## Not measured",
        _bullets(NOT_MEASURED),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(report: Report) -> str:
    gpu = report.hardware
    capability = ".".join(map(str, gpu.compute_capability))
    lines = [f"{gpu.name}, compute capability {capability}, {gpu.memory_bytes / 2**30:.0f} GiB; {report.began}"]
    if report.peaks is not None and report.copied_bytes_per_s is not None:
        known = ", ".join(f"{kind} {rate / 1e12:.0f}" for kind, rate in report.peaks.operations_per_s.items())
        lines.append(
            f"Peaks: {report.peaks.bytes_per_s / 1e9:.0f} GB/s (a copy reached {report.copied_bytes_per_s / 1e9:.0f});"
            f" tera-operations/s: {known or f'not known for {capability}, so floors are of bytes only'}"
        )
    return "\n\n".join(lines)


def _target(target: Target) -> str:
    value = "" if target.value is None else f": {target.value:.2f}"
    return f"{_VERDICTS[target.kept]}: {target.name} {target.bound:.2f}{value} ({target.because})"


def _stages(stages: Sequence[Measured]) -> str:
    rows = [
        (
            *(stage.stage, f"{stage.rows}", f"{stage.device_ms:.3f}", f"{stage.wall_ms:.3f}"),
            *(f"{stage.rows_per_s:.0f}", f"{stage.floor_ms:.4f} ({stage.floor_by})", f"{stage.share_of_floor:.0%}"),
        )
        for stage in stages
    ]
    return _table(("stage", "batch", "device ms", "wall ms", "per second", "floor ms", "reached"), rows)


def _wholes(wholes: Sequence[Whole]) -> str:
    rows = [
        (
            *(f"{whole.batch}", f"{whole.objects}", f"{whole.device_ms:.3f}", f"{whole.rate.frames_per_s:.0f}"),
            *(f"{whole.rate.p99_batch_ms:.2f}", f"{whole.floor_ms:.4f}", f"{whole.floor_ms / whole.device_ms:.0%}"),
        )
        for whole in wholes
    ]
    return _table(("frames", "objects", "device ms", "frames/s", "p99 ms of a batch", "floor ms", "reached"), rows)


def _pipeline(report: Report) -> str:
    if report.pipeline is None:
        return ""
    rate, busy = report.pipeline, report.utilisation_percent
    used = "utilisation not measured" if busy is None else f"GPU utilisation {busy:.0f} %"
    return (
        f"{rate.instances} instances in processes of their own, batches of {rate.batch}: {rate.frames_per_s:.0f}"
        f" frames/s, p99 {rate.p99_batch_ms:.2f} ms a batch, {used}."
    )


def end_to_end_page(found: EndToEnd) -> str:
    return f"{_bullets([f'{model}: {served}' for model, served in found.served.items()])}\n\n{_points(found.points)}"


def _points(points: Sequence[ThroughTriton]) -> str:
    head = ("model", "at once", "answers/s", "p50 ms", "p99 ms", "queue ms", "GPU utilisation")
    return _table(head, [_point(point) for point in points])


def _point(point: ThroughTriton) -> Sequence[str]:
    figures = point.figures
    measured = [point.said, "", "", ""]
    if figures is not None:
        latencies = (figures.p50_ms, figures.p99_ms, figures.queue_ms)
        measured = [f"{figures.throughput:.0f}", *(f"{value:.1f}" for value in latencies)]
    busy = "not measured" if point.utilisation_percent is None else f"{point.utilisation_percent:.0f} %"
    return (point.model, f"{point.callers}", *measured, busy)


def _differences(differences: Sequence[Difference]) -> str:
    rows = [
        (each.operation, f"{each.pictures}", f"{each.mean:.3f}", f"{each.largest}", _HELD[each.held])
        for each in differences
    ]
    return _table(("operation", "compared", "mean, at most", "one value, at most", "tolerance"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "Nothing was measured."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
