"""What a person sees while engines are built."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Reporter:
    """Says each step in a line on stderr, and shows a bar while bytes arrive; `quiet` says nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)

    @contextmanager
    def download(self, name: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        """Yields a function to call with the number of bytes that have arrived so far."""
        self.say(f"fetching {name} ({total_bytes / 1e6:.0f} MB)")
        columns = (TextColumn("  "), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as progress:
            task = progress.add_task(name, total=total_bytes)

            def arrived(count: int) -> None:
                progress.update(task, completed=min(count, total_bytes))

            yield arrived

    @contextmanager
    def steps(self, name: str, total: int) -> Iterator[Callable[[], None]]:
        """Yields a function to call after each step."""
        self.say(f"{name} ({total} steps)")
        columns = (TextColumn("  "), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as progress:
            task = progress.add_task(name, total=total)
            yield lambda: progress.advance(task)
