"""`framelens-perf swap-test`."""

import click
from rich.console import Console

from framelens_perf.paths import Paths
from framelens_perf.stack_command import runs_stack
from framelens_perf.swap.run import run_swap_test


@click.command()
@click.option("--kills", type=click.IntRange(0), default=20, show_default=True, help="kill -9 at random moments.")
@runs_stack("var/swap")
def swap_test(paths: Paths, console: Console, kills: int) -> bool:
    """Change engines and spaces under load, kill what does it, and count every answer."""
    return run_swap_test(paths, kills, console)
