"""The process of `framelens-engines`."""

import contextlib
import os
from pathlib import Path

from framelens_engines.cli import main as run

# What serves on this machine goes before what an operator does beside it.
_NICE = 15


def main() -> None:
    # Before a command is imported, with all that it works with.
    _stand_back(_NICE)
    run()


def _stand_back(nice: int) -> None:
    """Linux weighs processes within their session, and sessions against each other (sched_autogroup): both are told.

    A session is another's too, such as a shell's, unless this process leads it.
    """
    os.nice(nice)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # There are none of these groups, and niceness alone counts.
            Path("/proc/self/autogroup").write_text(str(nice))
