"""What the commands that list and show what is stored have in common, products and videos alike."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

import click
from rich.console import RenderableType

from framelens_client.cli.tables import console
from framelens_client.messages import Answer, as_json

Stored = TypeVar("Stored", bound=Answer)

_LARGEST_PAGE = 1000

AS_LINE = click.option("--json", "as_line", is_flag=True, help="Print the contract's answer as one line of JSON.")
LIMIT = click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most this many.")


def page_size(limit: int) -> int:
    """One more than is shown, to know whether there are more."""
    return min(limit + 1, _LARGEST_PAGE)


def print_first(
    found: Iterator[Stored], limit: int, as_lines: bool, table: Callable[[list[Stored]], RenderableType], nothing: str
) -> None:
    """The first of what is found, as a table or a line of JSON each; `nothing` where there is none."""
    shown = list(islice(found, limit))
    more = next(found, None) is not None
    if as_lines:
        for stored in shown:
            _print_line(stored)
    else:
        console().print(table(shown) if shown else nothing)
    if more:
        click.echo(f"only the first {limit} are shown: see --limit", err=True)


def print_one(stored: Stored, as_line: bool, table: Callable[[Stored], RenderableType]) -> None:
    """As a table or a line of JSON."""
    if as_line:
        _print_line(stored)
    else:
        console().print(table(stored))


def _print_line(stored: Answer) -> None:
    click.echo(json.dumps(as_json(stored), ensure_ascii=False))
