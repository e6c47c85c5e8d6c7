"""`framelens-perf compare` and `framelens-perf gate`."""

import sys
from pathlib import Path

import click
from rich.console import Console

from framelens_perf.critical_path.compare import ComparisonError, compare, difference_table
from framelens_perf.critical_path.gate import GateError, broken, read_slo

_REPORT = click.Path(path_type=Path, exists=True)


@click.command(name="compare")
@click.argument("runs", nargs=-1, type=_REPORT, required=True)
@click.option("--before", type=click.IntRange(1), help="How many of the runs were before. [default: half of them]")
def compare_command(runs: tuple[Path, ...], before: int | None) -> None:
    """Say what got better or worse from the first half of RUNS to the second, beyond the noise within each half.

    RUNS are folders or files of reports, at least three before a change and three after it.
    """
    cut = before or len(runs) // 2
    try:
        found = compare(runs[:cut], runs[cut:])
    except ComparisonError as error:
        raise click.ClickException(str(error)) from error
    Console().print(difference_table(found))
    sys.exit(1 if any(each.verdict == "worse" for each in found) else 0)


@click.command()
@click.option("--slo", type=_REPORT, required=True, help="YAML: bounds on figures of a report.")
@click.option("--report", type=click.Path(path_type=Path), default=Path("var/perf/latest/report.json"))
def gate(slo: Path, report: Path) -> None:
    """Fail, with the reason, where a report does not keep an SLO."""
    try:
        sentences = broken(read_slo(slo), report)
    except (GateError, ComparisonError) as error:
        raise click.ClickException(str(error)) from error
    for sentence in sentences:
        click.echo(sentence, err=True)
    if sentences:
        sys.exit(1)
    click.echo(f"{report} keeps {slo}")
