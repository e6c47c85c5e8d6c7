"""`framelens-engines validate`."""

from pathlib import Path

import click

from framelens_engines.cli.options import JSON, store_options
from framelens_engines.cli.output import console, say_version
from framelens_engines.errors import SwapError
from framelens_engines.evaluation.report import Report
from framelens_engines.evaluation.tables import report_table
from framelens_engines.progress import Reporter
from framelens_engines.store import EngineStore
from framelens_engines.validation import validate


@click.command(name="validate")
@click.argument("version")
@click.option(
    "--pictures",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("var/samples"),
    show_default=True,
    help="Pictures to evaluate with, none of which it was calibrated with.",
)
@click.option(
    "--index-vectors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `framelens-index export` wrote; an embedder's queries are searched among these too.",
)
@store_options
@JSON
def validate_version(
    version: str, pictures: Path, index_vectors: Path | None, store: EngineStore, *, as_json: bool
) -> None:
    """Compare VERSION with the FP32 reference, measure it beside the serving one, and write that into engine.json."""
    validated, report = validate(store, version, pictures, Reporter(quiet=as_json), index_vectors)
    if as_json:
        say_version(store, validated, as_json=True)
    else:
        _say_report(report)
    if not report.passed:
        raise SwapError(f"{version} keeps not to its thresholds: {'; '.join(report.failures)}")


def _say_report(report: Report) -> None:
    console().print(report_table(report))
    if report.passed:
        click.echo(f"{report.candidate} passed; next: framelens-engines publish {report.candidate}")
