"""`framelens-perf demo`."""

import click
from rich.console import Console

from framelens_perf.demo import run_demo
from framelens_perf.paths import Paths
from framelens_perf.stack_command import runs_stack


@click.command()
@runs_stack("var/demo")
def demo(paths: Paths, console: Console) -> bool:
    """Index a sample catalogue, recognise altered frames, check the answers."""
    return run_demo(paths, console)
