"""`framelens-perf`: the demo and measurements."""

import sys
from pathlib import Path

import click
from rich.console import Console

from framelens_client import FrameLensError
from framelens_perf.demo import DemoPaths, run_demo
from framelens_perf.stack import StackFailure

_TABLE_WIDTH = 165


@click.group()
def main() -> None:
    """Runs FrameLens on sample pictures and measures it."""


@main.command()
@click.option("--stack-command", type=click.Path(path_type=Path), default=Path(".venv/gateway/bin/framelens-stack"))
@click.option("--pictures", type=click.Path(path_type=Path, exists=True), default=Path("var/samples"))
@click.option("--model-repository", type=click.Path(path_type=Path, exists=True), default=Path("model_repository"))
@click.option("--out", type=click.Path(path_type=Path), default=Path("var/demo"))
def demo(stack_command: Path, pictures: Path, model_repository: Path, out: Path) -> None:
    """Index a sample catalogue, recognise altered frames, check the answers."""
    paths = DemoPaths(stack_command, pictures, model_repository, out)
    try:
        sys.exit(0 if run_demo(paths, _console()) else 1)
    except (StackFailure, FrameLensError) as error:
        raise click.ClickException(str(error)) from error


def _console() -> Console:
    """At least as wide as the demo's table; a narrower terminal wraps whole lines."""
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    return console
