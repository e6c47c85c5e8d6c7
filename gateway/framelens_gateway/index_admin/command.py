"""`framelens-index`: the command, its options, and how failures end it.

What commands work with is imported when they are called: Milvus' client alone takes a core most of a second.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from framelens_client.cli.lazy_group import LazyGroup
from framelens_gateway.errors import GatewayError
from framelens_gateway.index_admin.errors import AdminError
from framelens_gateway.index_admin.options import ALIAS, JSON, YES, pass_settings, print_result

if TYPE_CHECKING:
    from framelens_gateway.index_admin.tasks import Droppable
    from framelens_gateway.settings import GatewaySettings

_MOVING = "framelens_gateway.index_admin.move_commands"


class IndexGroup(LazyGroup):
    def invoke(self, ctx: click.Context) -> object:
        with _failures_as_exits(ctx):
            return super().invoke(ctx)


@click.group(cls=IndexGroup, lazy={name: f"{_MOVING}:{name}" for name in ("migrate", "rebuild")})
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
    ctx.obj = {name: value for name, value in told.items() if value is not None}


@framelens_index.command()
@ALIAS
@JSON
@pass_settings
def rollback(settings: "GatewaySettings", alias: str, as_json: bool) -> None:
    """Moves ALIAS back to the previous collection, with everything that was written since.

    The collection that was live stands by and is written on: `migrate` or `rebuild` goes forward to it again,
    `abandon` drops it.
    """
    from framelens_gateway.index_admin import tasks

    done = tasks.run(settings, lambda parts: tasks.rolled_back(parts, alias), alias)
    standing_by = f"; {done.next} stands by" if done.next else ""
    already = "" if done.switched else " already"
    print_result(as_json, {"alias": alias, **asdict(done)}, f"{alias} stands on {done.live}{already}{standing_by}")


@framelens_index.command(name="retire")
@ALIAS
@JSON
@YES
@pass_settings
def retire_command(settings: "GatewaySettings", alias: str, as_json: bool, yes: bool) -> None:
    """Drops the previous collection of ALIAS: after this there is no way back to it."""
    _drop(settings, alias, as_json, yes, "previous")


@framelens_index.command(name="abandon")
@ALIAS
@JSON
@YES
@pass_settings
def abandon_command(settings: "GatewaySettings", alias: str, as_json: bool, yes: bool) -> None:
    """Drops the next collection of ALIAS, filled or not."""
    _drop(settings, alias, as_json, yes, "next")


@framelens_index.command()
@JSON
@pass_settings
def status(settings: "GatewaySettings", as_json: bool) -> None:
    """Says which collections there are, of which space and index, and what each is for."""
    from framelens_gateway.index_admin import tasks
    from framelens_gateway.index_admin.tables import printed, state_table

    state = tasks.run(settings, tasks.state)
    if as_json:
        click.echo(json.dumps(state.as_dict(), indent=2))
        return
    printed(state_table(state))
    for warning in state.warnings:
        click.echo(f"warning: {warning}", err=True)


@framelens_index.command()
@ALIAS
@click.option("--to", "path", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE.npz")
@click.option("--rows", type=click.IntRange(1), default=10_000, show_default=True, help="At most so many, sampled.")
@JSON
@pass_settings
def export(settings: "GatewaySettings", alias: str, path: Path, rows: int, as_json: bool) -> None:
    """Writes vectors of ALIAS to a file for `framelens-engines validate --index-vectors`."""
    from framelens_gateway.index_admin import tasks

    count = tasks.run(settings, lambda parts: tasks.exported(parts, alias, path, rows))
    print_result(as_json, {"alias": alias, "file": str(path), "vectors": count}, f"{count} vectors are in {path}")


def _drop(settings: "GatewaySettings", alias: str, as_json: bool, yes: bool, role: "Droppable") -> None:
    from framelens_gateway.index_admin import tasks

    def agree(names: list[str]) -> None:
        if not yes:
            click.confirm(f"drop {', '.join(names)}?", abort=True, err=True)

    wait_s = settings.alias_ttl_s + settings.milvus_timeout_s
    dropped = tasks.run(settings, lambda parts: tasks.dropped(parts, alias, role, agree, wait_s), alias)
    text = f"dropped {', '.join(dropped)}" if dropped else "there was nothing to drop"
    print_result(as_json, {"alias": alias, "dropped": dropped}, text)


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
