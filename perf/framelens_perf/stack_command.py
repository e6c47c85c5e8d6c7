"""What commands have in common that run the stack and end by a verdict."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from framelens_client import FrameLensError
from framelens_perf.paths import Paths
from framelens_perf.peers.failures import AskFailed, PeerFailure
from framelens_perf.stack import StackFailure
from framelens_perf.swap.changes import CommandFailure
from framelens_triton.debian_packages import PackageError

# The demo's table; a narrower terminal wraps whole lines.
_TABLE_WIDTH = 165
_FAILURES = (StackFailure, CommandFailure, PeerFailure, AskFailed, PackageError, FrameLensError)


def runs_stack(out: str) -> Callable[[Callable[..., bool]], Callable[..., None]]:
    """Gives work its `paths` by options, `out` the default for results, and a `console`.

    Work says whether all was well; the command then ends with 0, and else with 1.
    """

    def decorate(work: Callable[..., bool]) -> Callable[..., None]:
        @functools.wraps(work)
        def command(
            stack_command: Path,
            pictures: Path,
            model_repository: Path,
            out: Path,
            **options: Any,  # noqa: ANN401
        ) -> None:
            paths = Paths(stack_command, pictures, model_repository, out)
            try:
                sys.exit(0 if work(paths, _console(), **options) else 1)
            except _FAILURES as error:
                raise click.ClickException(str(error)) from error

        return _with_path_options(command, out)

    return decorate


def _with_path_options(command: Callable[..., None], out: str) -> Callable[..., None]:
    existing = click.Path(path_type=Path, exists=True)
    for option in (
        click.option("--out", type=click.Path(path_type=Path), default=Path(out), show_default=True),
        click.option("--model-repository", type=existing, default=Path("model_repository"), show_default=True),
        click.option("--pictures", type=existing, default=Path("var/samples"), show_default=True),
        click.option("--stack-command", type=existing, default=Path(".venv/gateway/bin/framelens-stack")),
    ):
        command = option(command)
    return command


def _console() -> Console:
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    return console
