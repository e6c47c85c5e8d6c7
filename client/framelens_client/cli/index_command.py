"""`framelens videos index`."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.tables import console, printable
from framelens_client.cli.video_entries import Entry, entries_of, published_at
from framelens_client.client import Client
from framelens_client.errors import FrameLensError, Overloaded, Unauthenticated, Unreachable
from framelens_client.videos import IndexProgress, Video

# Of a gateway that indexes as many videos as it may, each after the pause that it asks for.
_ATTEMPTS = 10
_PAUSE_S = 1.0


@dataclass
class _Outcome:
    """What became of the videos; those that are in none are not reached."""

    stored: int = 0
    unchanged: int = 0
    refused: list[str] = field(default_factory=list)


def _published(_ctx: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    try:
        return None if text is None else published_at(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no date or time of ISO 8601, such as 2026-05-01T12:00Z") from error


@click.command(name="index")
@click.argument("path", type=click.Path(exists=True, path_type=Path), metavar="FILE|DIR|LIST.csv")
@click.option("--account", default="", help="Who has published it; needed unless the list says so.")
@click.option("--id", "video_id", default="", help="Its id. [default: the file's name without its suffix]")
@click.option("--title", default="", help="Its title.")
@click.option("--url", default="", help="Where it is watched.")
@click.option(
    "--published", callback=_published, metavar="ISO 8601", help="Date or time; UTC without a zone. [default: now]"
)
@click.option("--again", is_flag=True, help="Index it even where just this file is stored.")
@click.pass_context
def index_command(
    ctx: click.Context,
    path: Path,
    account: str,
    video_id: str,
    title: str,
    url: str,
    published: float | None,
    again: bool,
) -> None:
    """Indexes what is in view in a video, in each video of a folder, or in those of a list.

    The list is CSV with the columns file and, if wanted, id, account, title, url and published. Files are relative to
    it. Run it again after an interruption: a file that is stored already is not sent again. Exits with 1 if a video was
    refused; the others are stored.
    """
    gateway: Gateway = ctx.obj
    entries = entries_of(path, Video(video_id, account, title, url, published))
    outcome = _Outcome()
    try:
        with gateway.client() as client:
            for entry in entries:
                _index(client, entry, again, gateway.timeout_s, outcome)
    finally:
        _summarize(outcome, len(entries))
    if outcome.refused:
        ctx.exit(1)


def _index(client: Client, entry: Entry, again: bool, timeout_s: float | None, outcome: _Outcome) -> None:
    """Raises Unreachable and Unauthenticated, which the next video would meet too."""
    if entry.problem:
        outcome.refused.append(f"{entry.file}: {entry.problem}")
        return
    try:
        last = _patiently(lambda: _indexed(client, entry, again, timeout_s))
    except (Unreachable, Unauthenticated):
        raise
    except FrameLensError as error:
        outcome.refused.append(f"{entry.file}: {error.reason}: {error.message}")
    except OSError as error:
        outcome.refused.append(f"{entry.file}: {error.strerror}")
    else:
        _tell(entry, last)
        outcome.stored += last.state != "unchanged"
        outcome.unchanged += last.state == "unchanged"


def _patiently(index: Callable[[], IndexProgress]) -> IndexProgress:
    for _ in range(_ATTEMPTS - 1):
        try:
            return index()
        except Overloaded as error:
            time.sleep(error.retry_after_s or _PAUSE_S)
    return index()


def _indexed(client: Client, entry: Entry, again: bool, timeout_s: float | None) -> IndexProgress:
    with _progress(console(stderr=True)) as progress:
        task = progress.add_task(printable(entry.video.id).plain, total=None, state="reading")

        def show(seen: IndexProgress) -> None:
            total = seen.duration_s or None
            progress.update(task, completed=seen.position_s, total=total, state=_state(seen))

        return client.index_video(entry.video, entry.file, again=again, on_progress=show, timeout_s=timeout_s)


def _state(seen: IndexProgress) -> str:
    return f"{seen.state} {seen.position_s:.0f} of {seen.duration_s:.0f} s" if seen.duration_s else seen.state


def _tell(entry: Entry, last: IndexProgress) -> None:
    line = f"{last.state} {entry.video.id}"
    if last.stored is not None:
        line += f"  {last.stored.duration_s:.1f} s, {last.stored.frames} frames, {_objects(last)}"
        line += f"; {last.stored.note}" if last.stored.note else ""
    click.echo(printable(line).plain)


def _objects(last: IndexProgress) -> str:
    number = max(last.tracks, len(last.stored.tracks) if last.stored else 0)
    return f"{number} {'object' if number == 1 else 'objects'}"


def _summarize(outcome: _Outcome, total: int) -> None:
    parts = f"{outcome.stored} stored + {outcome.unchanged} unchanged + {len(outcome.refused)} refused"
    left = total - outcome.stored - outcome.unchanged - len(outcome.refused)
    for line in outcome.refused:
        click.echo(f"refused: {printable(line).plain}", err=True)
    click.echo(f"{total} {'video' if total == 1 else 'videos'} = {parts}{f' + {left} not indexed' if left else ''}")
    if left:
        click.echo("to go on, run the same command again: what is stored is not sent again", err=True)


def _progress(screen: Console) -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[state]}"))
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
