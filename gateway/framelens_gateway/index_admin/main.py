"""The process of `framelens-index`."""

import contextlib
import os
from pathlib import Path

from framelens_gateway.index_admin.command import framelens_index

# What serves on this machine goes before what an operator does beside it, which must get on all the same.
_NICE = 5


def main() -> None:
    # Before a command is called, which imports what it works with.
    _stand_back(_NICE)
    framelens_index()


def _stand_back(nice: int) -> None:
    """Linux weighs processes within their session, and sessions against each other (sched_autogroup): both are told.

    A session is another's too, such as a shell's, unless this process leads it.
    """
    os.nice(nice)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # There are none of these groups, and niceness alone counts.
            Path("/proc/self/autogroup").write_text(str(nice))
