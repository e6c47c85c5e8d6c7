"""`framelens-perf size`."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from framelens_perf.sizing.assumptions import Assumptions, assumptions
from framelens_perf.sizing.check import check
from framelens_perf.sizing.costs import Costs, costs_of
from framelens_perf.sizing.demand import Demand
from framelens_perf.sizing.failures import SizingError
from framelens_perf.sizing.frames import Mix
from framelens_perf.sizing.report import Report, read_report
from framelens_perf.sizing.smallest import smallest
from framelens_perf.sizing.tables import check_sentences, check_table, sizing_table

_TABLE_WIDTH = 140
_LATEST = Path("var/perf/latest/report.json")
_DEFAULTS = Assumptions()
_SHARE = click.FloatRange(0, 1)
# After \b, click leaves lines as they are.
_ASSUMED = "\b\nAssumed where a report cannot know:\n" + "\n".join(
    f"{name}={getattr(_DEFAULTS, name):g}  {field.description}" for name, field in Assumptions.model_fields.items()
)


@click.command(epilog=_ASSUMED)
@click.option("--rate", type=float, help="Frames a second.")
@click.option("--catalog", type=int, help="Products that are indexed.")
@click.option("--slo-ms", type=float, default=150.0, show_default=True, help="What p99 has to keep.")
@click.option("--headroom", type=float, default=0.3, show_default=True, help="It is kept at so much more than --rate.")
@click.option("--hot-share", type=_SHARE, default=0.0, show_default=True, help="Share of frames answered before.")
@click.option("--regions", type=_SHARE, default=0.0, show_default=True, help="Share of frames with a region drawn.")
@click.option("--gpus", "on_gpus", is_flag=True, help="Engines run on GPUs, at assumed costs.")
@click.option("--assume", "given", multiple=True, metavar="NAME=VALUE", help="Replace what is assumed; see below.")
@click.option("--report", "path", type=click.Path(path_type=Path), default=_LATEST, show_default=True)
@click.option("--check", "is_check", is_flag=True, help="Simulate the loads of the report instead, beside it.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def size(
    rate: float | None,
    catalog: int | None,
    slo_ms: float,
    headroom: float,
    hot_share: float,
    regions: float,
    on_gpus: bool,
    given: tuple[str, ...],
    path: Path,
    is_check: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Say how many cores or GPUs, gateways and Milvus nodes a rate needs, from what a report measured."""
    if not is_check and (rate is None or catalog is None):
        raise click.UsageError("give --rate and --catalog, or --check")
    try:
        assumed = assumptions(given)
        report = read_report(path)
        costs = costs_of(report)
        if rate is None or catalog is None or is_check:
            _show_check(report, costs, assumed, seed, as_json)
            return
        demand = Demand(rate, catalog, slo_ms, Mix(costs.objects, hot_share, regions), headroom)
        _show_sizing(demand, costs, assumed, on_gpus, seed, as_json)
    except SizingError as error:
        raise click.ClickException(str(error)) from error


def _show_check(report: Report, costs: Costs, assumed: Assumptions, seed: int, as_json: bool) -> None:
    found = check(report, costs, assumed, seed)
    if as_json:
        click.echo(json.dumps({"costs": asdict(costs), **found.to_json()}, indent=2))
        return
    console = _console()
    console.print(_measured_on(report))
    console.print(check_table(found))
    for sentence in check_sentences(found):
        console.print(sentence, highlight=False)


def _show_sizing(demand: Demand, costs: Costs, assumed: Assumptions, on_gpus: bool, seed: int, as_json: bool) -> None:
    found = smallest(demand, costs, assumed, on_gpus=on_gpus, seed=seed)
    if as_json:
        said = {"costs": asdict(costs), "assumed": assumed.model_dump(), "demand": asdict(demand)}
        click.echo(json.dumps({**said, "sizing": found.to_json()}, indent=2))
        return
    _console().print(sizing_table(found, demand, assumed))


def _measured_on(report: Report) -> str:
    machine = report.machine
    return (
        f"{machine.processor}, {machine.cores} cores, engines in {report.precision}, {report.products:,} products;"
        f" {report.time}"
    )


def _console() -> Console:
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    return console
