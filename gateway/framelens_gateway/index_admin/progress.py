"""What a command tells while it works: lines and a bar on standard error."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Progress(Protocol):
    def say(self, line: str) -> None: ...

    def counting(self, what: str, total: int) -> AbstractContextManager[Callable[[int], None]]: ...


class TerminalProgress:
    """A bar where there is a terminal, and otherwise the lines alone."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen

    def say(self, line: str) -> None:
        self._screen.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with RichProgress(*columns, console=self._screen, transient=True, disable=not self._screen.is_terminal) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, advance=done)
