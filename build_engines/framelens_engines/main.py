"""The process of `framelens-engines`."""

import os

from framelens_engines.cli import main as run

# What serves on this machine goes before what an operator does beside it.
_NICE = 15


def main() -> None:
    # Before a command is imported, with all that it works with.
    os.nice(_NICE)
    run()
