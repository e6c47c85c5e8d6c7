"""Ends a process and all that it started, by their ids."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator

from framelens_perf.processes import family

_GRACE_S = 10.0


def end_family(root: int) -> None:
    """SIGTERM to the root, then to whatever it leaves behind, then SIGKILL.

    Some servers leave their workers behind when they end, in sessions of their own, so a group's id would not do.
    """
    with contextlib.ExitStack() as open_files:
        # A handle each, taken while all live: a process id may be another's by the time it is used.
        handles = [handle for pid in family(root) for handle in _handle(pid, open_files)]
        for who in (handles[:1], handles):
            _signal(who, signal.SIGTERM)
            _wait(who, _GRACE_S)
        _signal(handles, signal.SIGKILL)


def _handle(pid: int, open_files: contextlib.ExitStack) -> Iterator[int]:
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        open_files.callback(os.close, handle)
        yield handle


def _signal(handles: list[int], what: signal.Signals) -> None:
    for handle in handles:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, what)


def _wait(handles: list[int], seconds: float) -> None:
    """Until all have ended, or the time is over; a handle can be read once its process has ended."""
    end = time.monotonic() + seconds
    for handle in handles:
        select.select([handle], [], [], max(0.0, end - time.monotonic()))
