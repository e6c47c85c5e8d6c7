"""Commands that move an alias to another collection: migrate, rebuild."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import get_args

import click
from rich.console import Console

from framelens_gateway.index_admin import tasks
from framelens_gateway.index_admin.comparison import Bounds
from framelens_gateway.index_admin.connection import Parts
from framelens_gateway.index_admin.filling import CropEmbedder
from framelens_gateway.index_admin.migration import Goal, Migration, Moved
from framelens_gateway.index_admin.options import ALIAS, JSON, YES, Command, pass_settings, print_result
from framelens_gateway.index_admin.progress import TerminalProgress
from framelens_gateway.index_admin.roles import Roles
from framelens_gateway.index_admin.spaces import ensure_space
from framelens_gateway.index_types import IndexType
from framelens_gateway.settings import GatewaySettings

# Vectors of one space in another index: it should answer nearly alike.
_REBUILD_OVERLAP = 0.9


def _moving(command: Command) -> Command:
    share = click.FloatRange(0, 1)
    options = (
        JSON,
        YES,
        click.option("--queries", type=click.IntRange(1), default=50, show_default=True, help="Rows to compare with."),
        click.option(
            "--min-index-recall",
            type=share,
            default=Bounds.min_index_recall,
            show_default=True,
            help="Least recall@10 of the new index against exact search.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@ALIAS
@click.option("--to", "space", required=True, metavar="SPACE", help="The embedder model to move to.")
@click.option(
    "--min-overlap",
    type=click.FloatRange(0, 1),
    default=Bounds.min_overlap,
    show_default=True,
    help="Least share of the 10 best products, or things in videos, that old and new answers have in common.",
)
@click.option(
    "--min-recall",
    type=click.FloatRange(0, 1),
    help="Least recall@1 of altered crops. [default: that of the old collection, less 0.02]",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Crops that are embedded at once: more fill a GPU, and take a CPU from callers.",
)
@_moving
@pass_settings
def migrate(
    settings: GatewaySettings,
    alias: str,
    space: str,
    min_overlap: float,
    min_recall: float | None,
    in_flight: int,
    as_json: bool,
    yes: bool,
    queries: int,
    min_index_recall: float,
) -> None:
    """Moves ALIAS to the space SPACE: fills a new collection from the stored crops, compares, and switches.

    ALIAS is `products` or `videos`.
    """
    bounds, confirm = Bounds(min_index_recall, min_overlap, min_recall), _confirm(yes, alias)

    async def work(parts: Parts) -> Moved:
        roles = await Roles.read(parts.index, alias)
        size = roles.live.size
        if roles.live.space != space:
            size = await ensure_space(parts.recognizer, parts.models, space)
        embedder = CropEmbedder(parts.recognizer, parts.crops, in_flight)
        migration = Migration(parts.index, embedder, bounds, queries, _progress())
        return await migration.run(roles, Goal(space, roles.live.index_type, size), confirm)

    _report_move(tasks.run(settings, work, alias), alias, as_json)


@click.command()
@ALIAS
@click.option("--index-type", type=click.Choice(get_args(IndexType)), help="[default: that of the live collection]")
@click.option(
    "--min-overlap",
    type=click.FloatRange(0, 1),
    default=_REBUILD_OVERLAP,
    show_default=True,
    help="Least share of the 10 best products, or things in videos, that old and new answers have in common.",
)
@_moving
@pass_settings
def rebuild(
    settings: GatewaySettings,
    alias: str,
    index_type: str | None,
    min_overlap: float,
    as_json: bool,
    yes: bool,
    queries: int,
    min_index_recall: float,
) -> None:
    """Moves ALIAS to an index of another type in the same space: copies the vectors, compares, and switches.

    Also to a collection with every field, where an earlier version has made the live one.
    """
    bounds, confirm = Bounds(min_index_recall, min_overlap), _confirm(yes, alias)

    async def work(parts: Parts) -> Moved:
        roles = await Roles.read(parts.index, alias)
        migration = Migration(parts.index, None, bounds, queries, _progress())
        goal = Goal(roles.live.space, index_type or roles.live.index_type, roles.live.size)
        return await migration.run(roles, goal, confirm)

    _report_move(tasks.run(settings, work, alias), alias, as_json)


def _report_move(moved: Moved, alias: str, as_json: bool) -> None:
    if moved.comparison is None:
        text = f"{alias} stands on {moved.live} already"
    else:
        text = f"{alias} stands on {moved.live}; `framelens-index rollback {alias}` goes back to {moved.previous}"
    print_result(as_json, {"alias": alias, **asdict(moved)}, text)


def _progress() -> TerminalProgress:
    return TerminalProgress(Console(stderr=True))


def _confirm(yes: bool, alias: str) -> Callable[[], bool]:
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is nobody to ask: pass --yes to switch if the comparison is within its bounds")
    return lambda: yes or click.confirm(f"switch {alias}?", err=True)
