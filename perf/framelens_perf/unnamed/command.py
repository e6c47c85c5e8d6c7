"""`framelens-perf unnamed`."""

import click
from rich.console import Console

from framelens_perf.paths import Paths
from framelens_perf.stack_command import runs_stack
from framelens_perf.unnamed.run import run_unnamed


@click.command()
@click.option("--boxes", type=click.IntRange(1, 32), default=3, show_default=True, help="Boxes without a name a frame.")
@runs_stack("var/unnamed")
def unnamed(paths: Paths, console: Console, boxes: int) -> bool:
    """Look for goods that the detector has no name for in photographs, and count false matches."""
    return run_unnamed(paths, console, boxes)
