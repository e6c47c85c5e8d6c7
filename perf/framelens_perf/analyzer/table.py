"""Results for people: a line for each point, and a word in place of figures that mean nothing."""

from rich import box
from rich.console import Console
from rich.table import Table

from framelens_perf.analyzer.results import Figures, Point, ScenarioResult, SloResult

_COLUMNS = ("answers/s", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "queue ms", "compute ms", "delayed", "requests")
# p99 of fewer is nearly the slowest of them.
_FEW = 100


def print_results(results: list[ScenarioResult], console: Console) -> None:
    for result in results:
        console.print(_table(result))
        if result.slo is not None:
            console.print(slo_sentence(result.name, result.slo))
    if any(point.figures and point.figures.requests < _FEW for result in results for point in result.points):
        console.print(f"* fewer than {_FEW} requests: this p99 is nearly the slowest of them")


def point_sentence(point: Point) -> str:
    """While a scenario runs."""
    if point.figures is None:
        often = f", {point.attempts} times" if point.attempts > 1 else ""
        return f"{point.load}: {point.verdict}{often} ({point.said})"
    return f"{point.load}: {point.figures.throughput:.1f} answers/s, p99 {point.figures.p99_ms:.0f} ms"


def slo_sentence(name: str, found: SloResult) -> str:
    doubt = "; a point that decided was unstable, so measure again on a quieter machine" if found.undecided else ""
    if found.rate is None:
        return f"{name}: no rate kept p99 within {found.p99_ms:g} ms, not even the lowest{doubt}"
    least = "at least " if found.reached_highest else ""
    return f"{name}: {least}{found.rate:.1f} requests/s keep p99 within {found.p99_ms:g} ms{doubt}"


def _table(result: ScenarioResult) -> Table:
    engines = ", ".join(f"{model} {version}" for model, version in sorted(result.engines.items()))
    memory = ", shared memory" if result.shared_memory else ""
    title = f"{result.name}: {result.model}{memory} ({engines})"
    table = Table("load", *_COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for point in result.points:
        table.add_row(str(point.load), *_cells(point))
    return table


def _cells(point: Point) -> list[str]:
    if point.figures is None:
        return [str(point.verdict), *[""] * (len(_COLUMNS) - 3), _delayed(point), ""]
    return [*_figures(point.figures), _delayed(point), _requests(point.figures)]


def _figures(figures: Figures) -> list[str]:
    latencies = (figures.p50_ms, figures.p90_ms, figures.p95_ms, figures.p99_ms, figures.queue_ms)
    computed = figures.compute_input_ms + figures.compute_infer_ms + figures.compute_output_ms
    return [f"{value:.1f}" for value in (figures.throughput, *latencies, computed)]


def _requests(figures: Figures) -> str:
    return f"{figures.requests}{'*' if figures.requests < _FEW else ''}"


def _delayed(point: Point) -> str:
    """perf_analyzer tells the share above 1 % alone; callers in a closed loop have no schedule."""
    if not point.load.open_loop:
        return ""
    if point.delayed_share is not None:
        return f"{point.delayed_share:.1%}"
    return "≤1 %" if point.figures else ""
