"""`framelens-index`: the command, its options, and how failures end it."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from rich.console import Console

from framelens_gateway.errors import GatewayError
from framelens_gateway.index_admin.comparison import Bounds
from framelens_gateway.index_admin.connection import Parts, admin_settings, connected
from framelens_gateway.index_admin.errors import AdminError
from framelens_gateway.index_admin.export import export_vectors
from framelens_gateway.index_admin.filling import CropEmbedder
from framelens_gateway.index_admin.lock import only_one
from framelens_gateway.index_admin.migration import Goal, Migration, Moved
from framelens_gateway.index_admin.progress import TerminalProgress
from framelens_gateway.index_admin.retirement import abandon, retire, roll_back
from framelens_gateway.index_admin.roles import Roles
from framelens_gateway.index_admin.spaces import ensure_space
from framelens_gateway.index_admin.state import read_state
from framelens_gateway.index_admin.tables import printed, state_table
from framelens_gateway.settings import GatewaySettings

T = TypeVar("T")

_INDEX_TYPES = get_args(GatewaySettings.model_fields["index_type"].annotation)
# Vectors of one space in another index: it should answer nearly alike.
_REBUILD_OVERLAP = 0.9


class IndexGroup(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        with _failures_as_exits(ctx):
            return super().invoke(ctx)


@click.group(cls=IndexGroup)
@click.option("--milvus", "milvus_uri", metavar="URI", help="Milvus. [default: FRAMELENS_MILVUS_URI, var/serve.json]")
@click.option(
    "--triton",
    "triton_address",
    metavar="HOST:PORT",
    help="Triton's gRPC endpoint. [default: FRAMELENS_TRITON_ADDRESS, var/serve.json]",
)
@click.option(
    "--crops",
    "crops_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The crops of what is indexed. [default: FRAMELENS_CROPS_DIR, the folder of var/serve.json]",
)
@click.pass_context
def framelens_index(ctx: click.Context, /, **told: Any) -> None:  # noqa: ANN401
    """Moves an alias to another embedding space or index type, and back, while gateways serve and write.

    Every command may be repeated after an interruption, and then finishes the job.
    """
    try:
        given = {name: value for name, value in told.items() if value is not None}
        ctx.obj = admin_settings(given, Path.cwd())
    except ValueError as error:
        raise click.UsageError(str(error)) from error


_alias = click.argument("alias", default="products")
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


def _moving(command: Callable[..., None]) -> Callable[..., None]:
    share = click.FloatRange(0, 1)
    options = (
        _json,
        _yes,
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


@framelens_index.command()
@_alias
@click.option("--to", "space", required=True, metavar="SPACE", help="The embedder model to move to.")
@click.option(
    "--min-overlap",
    type=click.FloatRange(0, 1),
    default=Bounds.min_overlap,
    show_default=True,
    help="Least share of the 10 best products that old and new answers have in common.",
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
@click.pass_obj
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
    """Moves ALIAS to the space SPACE: fills a new collection from the stored crops, compares, and switches."""
    bounds, confirm = Bounds(min_index_recall, min_overlap, min_recall), _confirm(yes, alias)

    async def work(parts: Parts) -> Moved:
        roles = await Roles.read(parts.index, alias)
        size = roles.live.size
        if roles.live.space != space:
            size = await ensure_space(parts.recognizer, parts.models, space)
        embedder = CropEmbedder(parts.recognizer, parts.crops, in_flight)
        migration = Migration(parts.index, embedder, bounds, queries, _progress())
        return await migration.run(roles, Goal(space, roles.live.index_type, size), confirm)

    _report_move(_run(settings, alias, work), alias, as_json)


@framelens_index.command()
@_alias
@click.option("--index-type", type=click.Choice(_INDEX_TYPES), required=True)
@click.option(
    "--min-overlap",
    type=click.FloatRange(0, 1),
    default=_REBUILD_OVERLAP,
    show_default=True,
    help="Least share of the 10 best products that old and new answers have in common.",
)
@_moving
@click.pass_obj
def rebuild(
    settings: GatewaySettings,
    alias: str,
    index_type: str,
    min_overlap: float,
    as_json: bool,
    yes: bool,
    queries: int,
    min_index_recall: float,
) -> None:
    """Moves ALIAS to an index of another type in the same space: copies the vectors, compares, and switches."""
    bounds, confirm = Bounds(min_index_recall, min_overlap), _confirm(yes, alias)

    async def work(parts: Parts) -> Moved:
        roles = await Roles.read(parts.index, alias)
        migration = Migration(parts.index, None, bounds, queries, _progress())
        return await migration.run(roles, Goal(roles.live.space, index_type, roles.live.size), confirm)

    _report_move(_run(settings, alias, work), alias, as_json)


@framelens_index.command()
@_alias
@_json
@click.pass_obj
def rollback(settings: GatewaySettings, alias: str, as_json: bool) -> None:
    """Moves ALIAS back to the previous collection, with everything that was written since.

    The collection that was live stands by and is written on: `migrate` or `rebuild` goes forward to it again,
    `abandon` drops it.
    """

    async def work(parts: Parts) -> Any:  # noqa: ANN401
        roles = await Roles.read(parts.index, alias)
        if roles.previous is not None:
            await ensure_space(parts.recognizer, parts.models, roles.previous.space)
        return await roll_back(parts.index, roles)

    done = _run(settings, alias, work)
    standing_by = f"; {done.next} stands by" if done.next else ""
    already = "" if done.switched else " already"
    _print(as_json, {"alias": alias, **asdict(done)}, f"{alias} stands on {done.live}{already}{standing_by}")


@framelens_index.command(name="retire")
@_alias
@_json
@_yes
@click.pass_obj
def retire_command(settings: GatewaySettings, alias: str, as_json: bool, yes: bool) -> None:
    """Drops the previous collection of ALIAS: after this there is no way back to it."""
    _drop(settings, alias, as_json, yes, retire)


@framelens_index.command(name="abandon")
@_alias
@_json
@_yes
@click.pass_obj
def abandon_command(settings: GatewaySettings, alias: str, as_json: bool, yes: bool) -> None:
    """Drops the next collection of ALIAS, filled or not."""
    _drop(settings, alias, as_json, yes, abandon)


@framelens_index.command()
@_json
@click.pass_obj
def status(settings: GatewaySettings, as_json: bool) -> None:
    """Says which collections there are, of which space and index, and what each is for."""

    async def work(parts: Parts) -> Any:  # noqa: ANN401
        return await read_state(parts.index)

    state = _run(settings, None, work)
    if as_json:
        click.echo(json.dumps(state.as_dict(), indent=2))
        return
    printed(state_table(state))
    for warning in state.warnings:
        click.echo(f"warning: {warning}", err=True)


@framelens_index.command()
@_alias
@click.option("--to", "path", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE.npz")
@click.option("--rows", type=click.IntRange(1), default=10_000, show_default=True, help="At most so many, sampled.")
@_json
@click.pass_obj
def export(settings: GatewaySettings, alias: str, path: Path, rows: int, as_json: bool) -> None:
    """Writes vectors of ALIAS to a file for `framelens-engines validate --index-vectors`."""

    async def work(parts: Parts) -> int:
        roles = await Roles.read(parts.index, alias)
        return await export_vectors(parts.index, roles.live.name, path, rows)

    count = _run(settings, None, work)
    _print(as_json, {"alias": alias, "file": str(path), "vectors": count}, f"{count} vectors are in {path}")


def _drop(
    settings: GatewaySettings,
    alias: str,
    as_json: bool,
    yes: bool,
    drop: Callable[[Any, Roles, float], Awaitable[list[str]]],
) -> None:
    wait_s = settings.alias_ttl_s + settings.milvus_timeout_s

    async def work(parts: Parts) -> list[str]:
        roles = await Roles.read(parts.index, alias)
        gone = roles.previous if drop is retire else roles.next
        names = [each.name for each in ([gone] if gone and gone != roles.live else []) + list(roles.orphans)]
        if names and not yes:
            click.confirm(f"drop {', '.join(names)}?", abort=True, err=True)
        return await drop(parts.index, roles, wait_s)

    dropped = _run(settings, alias, work)
    text = f"dropped {', '.join(dropped)}" if dropped else "there was nothing to drop"
    _print(as_json, {"alias": alias, "dropped": dropped}, text)


def _run(settings: GatewaySettings, alias: str | None, work: Callable[[Parts], Awaitable[T]]) -> T:
    async def run() -> T:
        async with connected(settings) as parts:
            return await work(parts)

    if alias is None:
        return asyncio.run(run())
    with only_one(settings.crops_dir, alias):
        return asyncio.run(run())


def _report_move(moved: Moved, alias: str, as_json: bool) -> None:
    if moved.comparison is None:
        text = f"{alias} stands on {moved.live} already"
    else:
        text = f"{alias} stands on {moved.live}; `framelens-index rollback {alias}` goes back to {moved.previous}"
    _print(as_json, {"alias": alias, **asdict(moved)}, text)


def _print(as_json: bool, result: dict[str, Any], text: str) -> None:
    click.echo(json.dumps(result, indent=2) if as_json else text)


def _progress() -> TerminalProgress:
    return TerminalProgress(Console(stderr=True))


def _confirm(yes: bool, alias: str) -> Callable[[], bool]:
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is nobody to ask: pass --yes to switch if the comparison is within its bounds")
    return lambda: yes or click.confirm(f"switch {alias}?", err=True)


@contextmanager
def _failures_as_exits(ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("interrupted; repeat the command to go on", err=True)
        ctx.exit(130)
    except AdminError as error:
        raise click.ClickException(str(error)) from error
    except GatewayError as error:
        raise click.ClickException(f"{error.reason}: {error.message}; repeat the command to go on") from error
    except BrokenPipeError:  # the reader of our output has gone: click knows what to do
        raise
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'file'}: {error.strerror}") from error
