"""Bars on a terminal while bytes arrive or steps are made; elsewhere only the line above them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from framelens_engines.progress import Reporter


@contextmanager
def download_bar(reporter: Reporter, name: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of bytes that have arrived so far."""
    reporter.say(f"fetching {name} ({total_bytes / 1e6:.0f} MB)")
    with _bar(reporter, DownloadColumn(), TransferSpeedColumn()) as progress:
        task = progress.add_task(name, total=total_bytes)
        yield lambda count: progress.update(task, completed=min(count, total_bytes))


@contextmanager
def steps_bar(reporter: Reporter, name: str, total: int) -> Iterator[Callable[[], None]]:
    """Yields a function to call after each step."""
    reporter.say(f"{name} ({total} steps)")
    with _bar(reporter, MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task(name, total=total)
        yield lambda: progress.advance(task)


def _bar(reporter: Reporter, *figures: ProgressColumn) -> Progress:
    console = Console(stderr=True, quiet=reporter.quiet)
    columns = (TextColumn("  "), BarColumn(), *figures)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
