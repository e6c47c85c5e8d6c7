"""`framelens-perf perf`."""

import click
from rich.console import Console

from framelens_perf.critical_path.run import FULL_PLAN, QUICK_PLAN, run_perf
from framelens_perf.paths import Paths
from framelens_perf.stack_command import runs_stack


@click.command()
@click.option("--quick", is_flag=True, help="FP32 engines, 1,000 products, short runs, no peers: two minutes.")
@runs_stack("var/perf")
def perf(paths: Paths, console: Console, quick: bool) -> bool:
    """Measure the critical path beside its limit, and print its bars."""
    run_perf(paths, QUICK_PLAN if quick else FULL_PLAN, console)
    return True
