"""`framelens-perf feed`."""

import click
from rich.console import Console

from framelens_perf.feed.run import run_feed
from framelens_perf.paths import Paths
from framelens_perf.stack_command import runs_stack


@click.command()
@click.option(
    "--videos", type=click.IntRange(1), default=10_000, show_default=True, help="Stored when moments are asked."
)
@click.option("--rate", type=click.FloatRange(1), default=200.0, show_default=True, help="GetMoments a second.")
@click.option("--seconds", type=click.FloatRange(1), default=30.0, show_default=True, help="So long.")
@click.option(
    "--times", type=click.IntRange(2), default=4, show_default=True, help="The long video beside the short one."
)
@runs_stack("var/feed")
def feed(paths: Paths, console: Console, videos: int, rate: float, seconds: float, times: int) -> bool:
    """Measure the indexing of a 720p video, its memory, and GetMoments with many videos stored."""
    return run_feed(paths, console, videos, rate, seconds, times)
