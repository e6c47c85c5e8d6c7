"""Lets work that nobody waits for yet stand back for answers: an engine that is loaded beside one that serves."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_NICE = 15
_THREADS = Path("/proc/self/task")


@contextlib.contextmanager
def background_priority() -> Iterator[None]:
    """Lowers this process's priority for the block; nothing happens where it could not be raised again.

    Linux lets only root, or CAP_SYS_NICE, raise it. Threads that the block starts are raised at its end too.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if not _may_raise(before):
        yield
        return
    os.setpriority(os.PRIO_PROCESS, 0, before + _NICE)
    try:
        yield
    finally:
        for thread in _THREADS.iterdir():
            with contextlib.suppress(ProcessLookupError):  # It has ended meanwhile.
                os.setpriority(os.PRIO_PROCESS, int(thread.name), before)


def _may_raise(before: int) -> bool:
    """Tried with a single step, which does no harm should it stay."""
    os.setpriority(os.PRIO_PROCESS, 0, before + 1)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, before)
    except PermissionError:
        return False
    return True
