"""The process of `framelens-engines`."""

import os

# What serves on this machine goes before what an operator does beside it.
_NICE = 15


def main() -> None:
    os.nice(_NICE)
    # Imported here, for that alone takes a core a second.
    from framelens_engines.cli import main as run

    run()
