"""`framelens-perf soak`."""

import click
from rich.console import Console

from framelens_perf.paths import Paths
from framelens_perf.soak.run import run_soak
from framelens_perf.stack_command import runs_stack


@click.command()
@click.option("--minutes", type=click.FloatRange(1), default=30.0, show_default=True)
@runs_stack("var/perf")
def soak(paths: Paths, console: Console, minutes: float) -> bool:
    """Keep a stack under steady load, and watch memory, descriptors, threads and latency for growth."""
    return run_soak(paths, minutes, console)
