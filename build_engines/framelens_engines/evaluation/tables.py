"""A validation report as a person reads it."""

from rich.table import Table

from framelens_engines.evaluation.report import DetectorAgreement, EmbedderAgreement, Report, Timing


def report_table(report: Report) -> Table:
    """Names and figures, and what failed at the end."""
    table = Table(title=f"{report.candidate} against {report.reference}", show_header=False, title_justify="left")
    agreement = report.agreement
    rows = _detector(agreement) if isinstance(agreement, DetectorAgreement) else _embedder(agreement)
    for name, figure in rows:
        table.add_row(name, figure)
    for timing in report.timing:
        table.add_row(f"batch {timing.batch}, {_threads(timing)}", _latency(timing, report.serving))
    memory = report.memory
    table.add_row("memory of a copy", f"{memory.loaded_mib:.0f} MiB loaded, {memory.peak_mib:.0f} at the peak")
    for failure in report.failures:
        table.add_row("[red]failed[/]", failure)
    return table


def _detector(found: DetectorAgreement) -> list[tuple[str, str]]:
    rows = [
        ("frames", str(found.frames)),
        ("objects", f"{found.reference_objects} by the reference, {found.candidate_objects}, both {found.matched}"),
        ("precision, recall, F1", f"{_figure(found.precision)}, {_figure(found.recall)}, {_figure(found.f1)}"),
        ("not in both, but close to the score", str(found.borderline)),
        ("IoU", f"mean {_figure(found.mean_iou)}, least {_figure(found.min_iou)}"),
        (
            "score shift",
            f"mean {_figure(found.mean_score_shift)}, 5 % over {_figure(found.p95_score_shift)},"
            f" most {_figure(found.max_score_shift)}",
        ),
    ]
    if people := found.mean_average_precision:
        rows.append(("mAP@.5", f"{people.candidate_at_50:.3f}, the reference's {people.reference_at_50:.3f}"))
    return rows


def _embedder(found: EmbedderAgreement) -> list[tuple[str, str]]:
    cosines = f"mean {found.mean_cosine:.4f}, 1 % under {found.p1_cosine:.4f}, least {found.min_cosine:.4f}"
    return [
        ("cosine", f"{cosines} over {found.crops} crops"),
        ("recall@1", f"{found.candidate.at_1:.4f}, the serving version's {found.serving.at_1:.4f}"),
        ("recall@5", f"{found.candidate.at_5:.4f}, the serving version's {found.serving.at_5:.4f}"),
        ("queries, gallery", f"{found.queries}, {found.gallery}"),
        ("overlap of the first five", f"{found.overlap_at_5:.3f}"),
    ]


def _latency(timing: Timing, serving: str) -> str:
    ours, theirs = timing.candidate, timing.serving
    return (
        f"{ours.median_ms:.1f} ms, {ours.pictures_per_s:.0f} pictures/s; {serving} {theirs.median_ms:.1f} ms,"
        f" {theirs.pictures_per_s:.0f}: {timing.speedup:.2f} times"
    )


def _threads(timing: Timing) -> str:
    return f"{timing.threads} thread" if timing.threads else "all cores"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
