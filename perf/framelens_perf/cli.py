"""`framelens-perf`: the demo and measurements."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from framelens_client import FrameLensError
from framelens_perf.analyzer.command import analyze
from framelens_perf.critical_path.command import compare_command, gate
from framelens_perf.critical_path.run import FULL_PLAN, QUICK_PLAN, run_perf
from framelens_perf.critical_path.scene import PerfPaths
from framelens_perf.demo import DemoPaths, run_demo
from framelens_perf.peers.command import peers
from framelens_perf.peers.failures import AskFailed, PeerFailure
from framelens_perf.sizing.command import size
from framelens_perf.soak.run import run_soak
from framelens_perf.stack import StackFailure
from framelens_perf.swap.changes import CommandFailure
from framelens_perf.swap.run import SwapPaths, run_swap_test

Command = Callable[..., None]

_TABLE_WIDTH = 165


@click.group()
def main() -> None:
    """Runs FrameLens on sample pictures and measures it."""
    # As an exception, so that whoever started a stack stops it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _path_options(out: str) -> Callable[[Command], Command]:
    """Where the stack, the pictures and the engines are, and where results go."""

    def add(command: Command) -> Command:
        existing = click.Path(path_type=Path, exists=True)
        for option in (
            click.option("--out", type=click.Path(path_type=Path), default=Path(out), show_default=True),
            click.option("--model-repository", type=existing, default=Path("model_repository"), show_default=True),
            click.option("--pictures", type=existing, default=Path("var/samples"), show_default=True),
            click.option("--stack-command", type=existing, default=Path(".venv/gateway/bin/framelens-stack")),
        ):
            command = option(command)
        return command

    return add


@main.command()
@_path_options("var/demo")
def demo(stack_command: Path, pictures: Path, model_repository: Path, out: Path) -> None:
    """Index a sample catalogue, recognise altered frames, check the answers."""
    paths = DemoPaths(stack_command, pictures, model_repository, out)
    _exit(lambda: run_demo(paths, _console()))


@main.command()
@_path_options("var/swap")
@click.option("--kills", type=click.IntRange(0), default=20, show_default=True, help="kill -9 at random moments.")
def swap_test(stack_command: Path, pictures: Path, model_repository: Path, out: Path, kills: int) -> None:
    """Change engines and spaces under load, kill what does it, and count every answer."""
    paths = SwapPaths(stack_command, pictures, model_repository, out)
    _exit(lambda: run_swap_test(paths, kills, _console()))


@main.command()
@_path_options("var/perf")
@click.option("--quick", is_flag=True, help="FP32 engines, 1,000 products, short runs, no peers: two minutes.")
def perf(stack_command: Path, pictures: Path, model_repository: Path, out: Path, quick: bool) -> None:
    """Measure the critical path beside its limit, and print its bars."""
    paths = PerfPaths(stack_command, pictures, model_repository, out)
    _exit(lambda: bool(run_perf(paths, QUICK_PLAN if quick else FULL_PLAN, _console())))


@main.command()
@_path_options("var/perf")
@click.option("--minutes", type=click.FloatRange(1), default=30.0, show_default=True)
def soak(stack_command: Path, pictures: Path, model_repository: Path, out: Path, minutes: float) -> None:
    """Keep a stack under steady load, and watch memory, descriptors, threads and latency for growth."""
    paths = PerfPaths(stack_command, pictures, model_repository, out)
    _exit(lambda: run_soak(paths, minutes, _console()))


for command in (analyze, peers, compare_command, gate, size):
    main.add_command(command)


def _exit(work: Callable[[], bool]) -> None:
    try:
        sys.exit(0 if work() else 1)
    except (StackFailure, CommandFailure, PeerFailure, AskFailed, FrameLensError) as error:
        raise click.ClickException(str(error)) from error


def _console() -> Console:
    """At least as wide as the demo's table; a narrower terminal wraps whole lines."""
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    return console
