"""The root of the command: its global options, and how failures end it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import grpc

from framelens_client.cli.gateway import Gateway
from framelens_client.cli.moments import moments
from framelens_client.cli.products import products
from framelens_client.cli.recognize import recognize
from framelens_client.cli.search import search
from framelens_client.cli.status import status
from framelens_client.cli.trial import trial
from framelens_client.cli.unreachable import unreachable
from framelens_client.cli.videos import videos
from framelens_client.errors import CatalogueError, FrameLensError, Unreachable


class FramelensGroup(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        with _failures_as_exits(ctx):
            return super().invoke(ctx)


@click.group(cls=FramelensGroup)
@click.option(
    "--address", metavar="HOST:PORT", envvar="FRAMELENS_ADDRESS", help="The gateway. [default: var/serve.json]"
)
@click.option(
    "--token", envvar="FRAMELENS_TOKEN", help="Bearer token; better in FRAMELENS_TOKEN than in a command line."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Deadline of each call."
)
@click.option("--tls", is_flag=True, help="Connect with TLS.")
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificates (PEM) to trust instead of the public ones; implies --tls.",
)
@click.version_option(package_name="framelens-client", prog_name="framelens")
@click.pass_context
def framelens(
    ctx: click.Context, address: str | None, token: str | None, timeout: float | None, tls: bool, ca: Path | None
) -> None:
    """Finds what is in a frame, and keeps the catalogue it is matched with."""
    credentials = grpc.ssl_channel_credentials(ca.read_bytes() if ca else None) if tls or ca else None
    ctx.obj = Gateway(address, token, timeout, credentials)


for command in (recognize, search, products, videos, moments, status, trial):
    framelens.add_command(command)


@contextmanager
def _failures_as_exits(ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        ctx.exit(130)
    except Unreachable as error:
        address = ctx.obj.target().address
        raise click.ClickException(unreachable(address, error)) from error
    except FrameLensError as error:
        raise click.ClickException(f"{error.reason}: {error.message}") from error
    except CatalogueError as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:  # the reader of our output has gone: click knows what to do
        raise
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'file'}: {error.strerror}") from error
