"""Trials as people read them in a terminal."""

import time
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from framelens_client.cli.tables import printable
from framelens_client.trials import CanaryReport, Distribution, ShadowReport, Trial

_STYLES = {"running": "green", "rolled_back": "red"}


def trial_facts(address: str, trial: Trial) -> RenderableType:
    """What is tried, and how that stands."""
    if trial.state == "none":
        return Text(f"{address}  no trial")
    head = Text(f"{address}  {trial.kind} of {trial.candidate}, share {trial.share:g}: ", style="bold")
    head.append(trial.state.replace("_", " "), style=_STYLES.get(trial.state, ""))
    head.append(f" {_lasted(trial)}", style="dim")
    parts: list[RenderableType] = [head]
    if trial.reason:
        parts.append(printable(f"why: {trial.reason}"))
    parts += [printable(f"note: {note}") for note in trial.notes]
    return Group(*parts)


def trial_report(address: str, trial: Trial) -> RenderableType:
    """The facts, and all figures."""
    parts = [trial_facts(address, trial)]
    if trial.shadow is not None:
        parts += _shadow(trial.shadow)
    if trial.canary is not None:
        parts += _canary(trial.canary)
    return Group(*parts)


def _lasted(trial: Trial) -> str:
    seconds = (time.time() if trial.ended_at is None else trial.ended_at) - trial.started_at
    return f"{'for' if trial.ended_at is None else 'after'} {seconds:.0f} s"


def _shadow(report: ShadowReport) -> Iterable[RenderableType]:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        "requests",
        f"{report.compared} compared, {report.failed} failed, {report.timed_out} timed out; dropped: "
        f"{report.dropped_full} too many under way, {report.dropped_load} load",
    )
    grid.add_row(
        "objects",
        f"live {report.live_objects}, candidate {report.candidate_objects}, both {report.agreed_objects} "
        f"(F1 {report.objects_f1:.3f})",
    )
    grid.add_row("best match", f"the same in {report.agreed_top1} of {report.searches} searches")
    yield grid
    table = _figures("", "mean", "p50", "p95", "p99", "max")
    _add_figures(table, "overlap@k", report.overlap_at_k, 3)
    _add_figures(table, "object score shift", report.object_score_shift, 3)
    _add_figures(table, "match score shift", report.match_score_shift, 3)
    _add_figures(table, "live ms", report.live_ms, 1)
    _add_figures(table, "candidate ms", report.candidate_ms, 1)
    yield table
    for each in report.disagreements:
        at = time.strftime("%H:%M:%S", time.localtime(each.at))
        yield printable(f"{at} {each.method} picture {each.picture}: {each.what}")
    yield from _errors(report.errors)


def _canary(report: CanaryReport) -> Iterable[RenderableType]:
    yield Text(
        f"{report.served} served by the candidate; by the live engines {report.failed} that it failed, "
        f"{report.no_time} whose deadlines left it no time"
    )
    table = _figures("last requests", "candidate", "control", "bound")
    candidate, control, bounds = report.candidate, report.control, report.bounds
    table.add_row("requests", str(candidate.requests), str(control.requests), f"window {bounds.window}")
    table.add_row(
        "error rate",
        f"{candidate.error_rate:.4f}",
        f"{control.error_rate:.4f}",
        f"control + {bounds.max_error_rate:g}",
    )
    table.add_row("p50 ms", f"{candidate.p50_ms:.1f}", f"{control.p50_ms:.1f}", "")
    limit = f"control x {bounds.max_p99_ratio:g}" + ("" if bounds.max_p99_ms is None else f", {bounds.max_p99_ms:g}")
    table.add_row("p99 ms", f"{candidate.p99_ms:.1f}", f"{control.p99_ms:.1f}", limit)
    yield table
    yield from _errors(report.errors)


def _errors(errors: Iterable[str]) -> Iterable[RenderableType]:
    for error in errors:
        yield printable(f"error: {error}")


def _figures(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    return table


def _add_figures(table: Table, name: str, values: Distribution, digits: int) -> None:
    figures = (values.mean, values.p50, values.p95, values.p99, values.max)
    table.add_row(name, *(f"{figure:.{digits}f}" if values.count else "" for figure in figures))
