"""`framelens products import`."""

import asyncio
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import cast, get_args

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from framelens_client.catalogue.entries import Catalogue, read_catalogue
from framelens_client.catalogue.formats import Format
from framelens_client.catalogue.importer import Counts, Importer
from framelens_client.catalogue.journal import Journal
from framelens_client.catalogue.report import Report
from framelens_client.catalogue.rows import COLUMNS, Rejection
from framelens_client.cli.gateway import Gateway
from framelens_client.cli.tables import console, printable
from framelens_client.cli.unreachable import unreachable
from framelens_client.errors import Unreachable

_STATE_SUFFIX = ".import-state"


@click.command(name="import")
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="CATALOG")
@click.option(
    "--images",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder that the image column is relative to.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", *get_args(Format)]),
    default="auto",
    show_default=True,
    help="What CATALOG is; `google` is the CSV of Google's Product Search.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Where the import remembers what is stored. [default: CATALOG{_STATE_SUFFIX}]",
)
@click.option("--restart", is_flag=True, help="Forget what an earlier import stored, and send everything.")
@click.option(
    "--report",
    "report_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the rejected rows here too: CSV if it ends in .csv, else JSON lines.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a gateway that has gone away.",
)
@click.pass_context
def import_command(
    ctx: click.Context,
    catalogue: Path,
    images: Path,
    form: str,
    state: Path | None,
    restart: bool,
    report_path: Path | None,
    wait: float,
) -> None:
    """Stores the products of a catalogue in CSV, JSON Lines, Parquet, or the CSV of Google's Product Search.

    Columns: id, image and, if wanted, title, url, merchant, category, price, currency, availability, boost and region.
    Rows of one id are pictures of one product. Without a region, the main object of a picture is the product. Run it
    again after an interruption or a change: only what is new or changed is sent, and pictures only where they have
    changed. A product that was taken out of the file stays in the catalogue (see `products delete`).
    """
    gateway: Gateway = ctx.obj
    state = state or catalogue.with_name(catalogue.name + _STATE_SUFFIX)
    if report_path and report_path.resolve() in (catalogue.resolve(), state.resolve()):
        raise click.UsageError(f"--report {report_path} would overwrite the catalogue or its state")
    target = gateway.target().name
    content = read_catalogue(catalogue, images, None if form == "auto" else cast(Format, form))
    for note in content.notes:
        click.echo(note, err=True)
    if content.unused_columns:
        click.echo(f"columns not used: {','.join(content.unused_columns)} (known: {','.join(COLUMNS)})", err=True)
    with (
        Journal(state, target, restart=restart) as journal,
        Report(report_path) if report_path else nullcontext() as report,
    ):
        finished = _run(gateway, content, journal, wait, report)
    if not finished:
        ctx.exit(1)


def _run(gateway: Gateway, content: Catalogue, journal: Journal, wait_s: float, report: Report | None) -> bool:
    """Whether every row is stored."""
    screen = console(stderr=True)

    def reject(rejection: Rejection) -> None:
        screen.print(printable(str(rejection)), soft_wrap=True)
        if report:
            report.add(rejection)

    progress = _progress(screen)
    rows = progress.add_task("rows", total=content.row_count)

    def advance(counts: Counts) -> None:
        progress.update(rows, completed=counts.read - counts.not_sent)

    importer = Importer(journal, wait_s=wait_s, on_rejected=reject, on_progress=advance)
    try:
        with progress:
            asyncio.run(_import(gateway, importer, content))
    finally:
        _summarize(importer, journal, gateway.target().address)
    return importer.counts.stored + importer.counts.unchanged == importer.counts.read


async def _import(gateway: Gateway, importer: Importer, content: Catalogue) -> None:
    """Raises KeyboardInterrupt at Ctrl-C, whatever it waits for."""
    importing = asyncio.ensure_future(_send(gateway, importer, content))
    # asyncio's own handler wakes the loop only where the main thread takes the signal, and gRPC's threads may.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, importing.cancel)
    try:
        await importing
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error


async def _send(gateway: Gateway, importer: Importer, content: Catalogue) -> None:
    async with gateway.patient_client() as client:
        await importer.run(client, content)


def _summarize(importer: Importer, journal: Journal, address: str) -> None:
    counts = importer.counts
    parts = f"{counts.stored} stored + {counts.unchanged} unchanged + {counts.rejected} rejected"
    if counts.not_sent:
        parts += f" + {counts.not_sent} not sent"
    click.echo(f"{counts.read} rows read = {parts}")
    if error := importer.stopped_by:
        why = unreachable(address, error) if isinstance(error, Unreachable) else f"{error.reason}: {error.message}"
        click.echo(f"stopped: {why}", err=True)
    if counts.not_sent:
        click.echo(f"to go on, run the same command again: {journal.path} knows what is stored", err=True)


def _progress(screen: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
