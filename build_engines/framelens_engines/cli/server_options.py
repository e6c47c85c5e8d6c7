"""Options of the commands that talk to Triton."""

import functools
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from framelens_engines.cli.options import Command
from framelens_engines.errors import ServerError
from framelens_engines.server import ServerAddress, TritonServer

_METRICS_PORT = 8002
_SERVE_FILE = Path("var/serve.json")


def server_options(command: Command) -> Command:
    """--triton, --triton-metrics and --offline; the command gets `addresses`."""

    def with_addresses(*, triton: str, triton_metrics: str, offline: bool, **others: object) -> None:
        command(addresses=[] if offline else _addresses(triton, triton_metrics), **others)

    wrapped: Command = functools.wraps(command)(with_addresses)
    for option in (
        click.option("--offline", is_flag=True, help="No server runs: change the repository only."),
        click.option(
            "--triton-metrics",
            default="",
            metavar="HOST:PORT,...",
            help=f"In the order of --triton  [default: port {_METRICS_PORT} of each]",
        ),
        click.option(
            "--triton",
            default="",
            metavar="HOST:PORT,...",
            envvar="FRAMELENS_TRITON",
            show_envvar=True,
            help=f"gRPC endpoints, changed one after the other  [default: that of {_SERVE_FILE}]",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


@contextmanager
def connected(addresses: list[ServerAddress]) -> Iterator[list[TritonServer]]:
    with ExitStack() as stack:
        servers = [TritonServer(address) for address in addresses]
        for server in servers:
            stack.callback(server.close)
        yield servers


def _addresses(triton: str, metrics: str) -> list[ServerAddress]:
    if not triton:
        return [_served_here()]
    endpoints = [part.strip() for part in triton.split(",") if part.strip()]
    named = [part.strip() for part in metrics.split(",") if part.strip()]
    if named and len(named) != len(endpoints):
        raise click.BadParameter(f"{len(named)} for {len(endpoints)} servers", param_hint="--triton-metrics")
    defaults = [f"{endpoint.rpartition(':')[0]}:{_METRICS_PORT}" for endpoint in endpoints]
    return [ServerAddress(*pair) for pair in zip(endpoints, named or defaults, strict=True)]


def _served_here() -> ServerAddress:
    try:
        served = json.loads(_SERVE_FILE.read_text())
        return ServerAddress(served["triton_grpc"], served["triton_metrics"])
    except (OSError, ValueError, KeyError) as error:
        raise ServerError(
            f"{_SERVE_FILE} names no server ({error}); start one with `make serve`, name one with --triton, or say"
            " --offline"
        ) from error
