"""`framelens recognize`."""

import json
from pathlib import Path

import click

from framelens_client.cli.drawing import draw, drawing_paths, recognition_captions
from framelens_client.cli.gateway import Gateway
from framelens_client.cli.search_options import filter_of, search_options
from framelens_client.cli.tables import console, matches_left_out, objects_table, served_line
from framelens_client.errors import FrameLensError, Unauthenticated, Unreachable
from framelens_client.messages import as_json
from framelens_client.results import Recognition

PICTURE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("files", nargs=-1, required=True, type=PICTURE, metavar="FILE...")
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
    as_lines: bool,
    out: Path | None,
    min_object_score: float | None,
    max_objects: int | None,
    top_k: int | None,
    min_score: float | None,
    categories: tuple[str, ...],
    merchants: tuple[str, ...],
    min_price: float | None,
    max_price: float | None,
    key: str,
) -> None:
    """Finds the objects in each FILE, and their best matches."""
    drawings = drawing_paths(out, files) if out else [None] * len(files)
    wanted = filter_of(categories, merchants, min_price, max_price)
    failed = 0
    with gateway.client() as client:
        for file, drawing in zip(files, drawings, strict=True):
            try:
                answer = client.recognize(
                    file,
                    top_k=top_k,
                    min_score=min_score,
                    filter=wanted,
                    min_object_score=min_object_score,
                    max_objects=max_objects,
                    key=key,
                )
            except (Unreachable, Unauthenticated):  # No fault of this picture: the next would meet the same.
                raise
            except FrameLensError as error:
                failed += 1
                _show_failure(file, error, as_lines)
                continue
            _show(file, answer, as_lines)
            if drawing:
                draw(file, recognition_captions(answer), drawing)
    if failed:
        if len(files) == 1:
            raise click.exceptions.Exit(1)
        raise click.ClickException(f"{failed} of {len(files)} pictures failed")


def _show(file: Path, answer: Recognition, as_lines: bool) -> None:
    if as_lines:
        click.echo(json.dumps(as_json(answer), ensure_ascii=False))
        return
    screen = console()
    size = answer.served.picture
    screen.print(
        f"{file}  {size.width}x{size.height}" if size else str(file), style="bold", markup=False, highlight=False
    )
    screen.print(objects_table(answer.objects) if answer.objects else "no objects found")
    if matches_left_out(answer.objects):
        screen.print("the best matches of each object are shown; --json has all of them", style="dim")
    screen.print(served_line(answer.served))


def _show_failure(file: Path, error: FrameLensError, as_lines: bool) -> None:
    """In JSON a failure keeps its place, so that line N is about FILE N."""
    click.echo(f"{file}: {error.reason}: {error.message}", err=True)
    if as_lines:
        click.echo(json.dumps({"error": {"reason": error.reason, "message": error.message}}, ensure_ascii=False))
