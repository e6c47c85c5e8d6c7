"""`framelens search`."""

import json
from pathlib import Path

import click

from framelens_client.cli.drawing import draw, drawing_paths, search_captions
from framelens_client.cli.gateway import Gateway
from framelens_client.cli.recognize import PICTURE
from framelens_client.cli.search_options import filter_of, search_options
from framelens_client.cli.tables import console, matches_table, served_line
from framelens_client.messages import as_json
from framelens_client.region import parse_region
from framelens_client.results import Box


def _region(_ctx: click.Context, _option: click.Parameter, text: str) -> Box:
    try:
        return parse_region(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("file", type=PICTURE)
@click.option(
    "--region",
    required=True,
    metavar="X1,Y1,X2,Y2",
    callback=_region,
    help="Exactly what is searched, in 0..1 of the picture.",
)
@click.option("--json", "as_line", is_flag=True, help="Print the contract's answer as one line of JSON.")
@click.option("--draw", "out", type=click.Path(path_type=Path), metavar="OUT.png", help="Draw the region.")
@click.option("--page-token", default="", help="The next_page_token of an earlier answer, for the matches that follow.")
@search_options
@click.pass_obj
def search(
    gateway: Gateway,
    file: Path,
    region: Box,
    as_line: bool,
    out: Path | None,
    page_token: str,
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
    """Searches one region of FILE; nothing is detected."""
    drawing = drawing_paths(out, [file])[0] if out else None
    wanted = filter_of(categories, merchants, min_price, max_price, availabilities)
    with gateway.client() as client:
        answer = client.search_region(
            file,
            region,
            top_k=top_k,
            min_score=min_score,
            filter=wanted,
            use_boost=use_boost,
            page_token=page_token,
            key=key,
        )
    if as_line:
        click.echo(json.dumps(as_json(answer), ensure_ascii=False))
    else:
        screen = console()
        screen.print(matches_table(answer.matches) if answer.matches else "no match")
        screen.print(served_line(answer.served))
        if answer.next_page_token:
            screen.print(f"more: --page-token {answer.next_page_token}", style="dim", markup=False)
    if drawing:
        draw(file, search_captions(answer), drawing)
