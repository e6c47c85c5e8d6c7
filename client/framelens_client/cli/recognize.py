"""`framelens recognize`."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click

from framelens_client.cli.drawing import draw, drawing_paths, recognition_captions
from framelens_client.cli.gateway import Gateway
from framelens_client.cli.search_options import filter_of, search_options
from framelens_client.cli.tables import console, jump_time, matches_left_out, objects_table, served_line
from framelens_client.client import Client
from framelens_client.errors import FrameLensError, Unauthenticated, Unreachable
from framelens_client.frames import RelatedOptions
from framelens_client.messages import as_json
from framelens_client.results import Recognition

PICTURE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("files", nargs=-1, type=PICTURE, metavar="[FILE...]")
@click.option("--video", "video_id", default="", metavar="ID", help="The video that the frame is of.")
@click.option("--at", "timestamp_s", type=click.FloatRange(min=0), metavar="SECONDS", help="The second of the video.")
@click.option("--fresh", is_flag=True, help="Look at the picture even where a moment is stored.")
@click.option(
    "--account", default="", help="Whose video it is: related videos are of others. [default: the stored one]"
)
@click.option("--same-account", is_flag=True, help="Related videos of that account too.")
@click.option("--several-per-account", is_flag=True, help="More than one related video of an account.")
@click.option("--json", "as_lines", is_flag=True, help="Print one line of JSON per FILE: the contract's answer.")
@click.option(
    "--draw",
    "out",
    type=click.Path(path_type=Path),
    metavar="OUT.png",
    help="Draw the objects; several FILEs give OUT-NAME.png each, or NAME.png if OUT is a folder.",
)
@click.option("--min-object-score", type=float, help="Leave out objects below this confidence. [default: 0.5]")
@click.option("--max-objects", type=int, help="At most this many objects, 1 to 32. [default: 8]")
@search_options
@click.pass_obj
def recognize(
    gateway: Gateway,
    files: tuple[Path, ...],
    video_id: str,
    timestamp_s: float | None,
    fresh: bool,
    account: str,
    same_account: bool,
    several_per_account: bool,
    as_lines: bool,
    out: Path | None,
    min_object_score: float | None,
    max_objects: int | None,
    top_k: int | None,
    min_score: float | None,
    use_boost: bool,
    categories: tuple[str, ...],
    merchants: tuple[str, ...],
    min_price: float | None,
    max_price: float | None,
    availabilities: tuple[str, ...],
    key: str,
) -> None:
    """Finds the objects in each FILE, and their best matches.

    With --video and --at, the answer comes from the moment that is stored there, if any; then no FILE is needed.
    """
    _check_source(files, video_id, timestamp_s, out)
    drawings = drawing_paths(out, files) if out else [None] * len(files)
    ask = partial(
        Client.recognize,
        top_k=top_k,
        min_score=min_score,
        filter=filter_of(categories, merchants, min_price, max_price, availabilities),
        use_boost=use_boost,
        min_object_score=min_object_score,
        max_objects=max_objects,
        key=key,
        video_id=video_id,
        timestamp_s=timestamp_s,
        fresh=fresh,
        related=RelatedOptions(account, same_account, several_per_account),
    )
    with gateway.client() as client:
        if files:
            _each(partial(ask, client), list(zip(files, drawings, strict=True)), as_lines)
        else:
            _show(f"{video_id} at {jump_time(timestamp_s or 0.0)}", ask(client), as_lines)


def _check_source(files: Sequence[Path], video_id: str, timestamp_s: float | None, out: Path | None) -> None:
    """Raises UsageError."""
    if bool(video_id) != (timestamp_s is not None):
        raise click.UsageError("--video ID and --at SECONDS belong together")
    if not files and not video_id:
        raise click.UsageError("give FILE..., or --video ID and --at SECONDS")
    if not files and out:
        raise click.UsageError("--draw needs a FILE to draw on")
    if len(files) > 1 and video_id:
        raise click.UsageError("--video and --at are of one frame: give one FILE")


def _each(ask: Callable[[Path], Recognition], files: Sequence[tuple[Path, Path | None]], as_lines: bool) -> None:
    """One that fails does not stop the others. Raises Exit, ClickException."""
    failed = 0
    for file, drawing in files:
        try:
            answer = ask(file)
        except (Unreachable, Unauthenticated):  # No fault of this picture: the next would meet the same.
            raise
        except FrameLensError as error:
            failed += 1
            _show_failure(file, error, as_lines)
            continue
        _show(str(file), answer, as_lines)
        if drawing:
            draw(file, recognition_captions(answer), drawing)
    if failed:
        if len(files) == 1:
            raise click.exceptions.Exit(1)
        raise click.ClickException(f"{failed} of {len(files)} pictures failed")


def _show(name: str, answer: Recognition, as_lines: bool) -> None:
    if as_lines:
        click.echo(json.dumps(as_json(answer), ensure_ascii=False))
        return
    screen = console()
    size = answer.served.picture
    screen.print(f"{name}  {size.width}x{size.height}" if size else name, style="bold", markup=False, highlight=False)
    screen.print(objects_table(answer.objects) if answer.objects else "no objects found")
    if matches_left_out(answer.objects):
        screen.print("the best matches of each object are shown; --json has all of them", style="dim")
    screen.print(served_line(answer.served))


def _show_failure(file: Path, error: FrameLensError, as_lines: bool) -> None:
    """In JSON a failure keeps its place, so that line N is about FILE N."""
    click.echo(f"{file}: {error.reason}: {error.message}", err=True)
    if as_lines:
        click.echo(json.dumps({"error": {"reason": error.reason, "message": error.message}}, ensure_ascii=False))
