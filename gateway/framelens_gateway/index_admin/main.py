"""The process of `framelens-index`."""

import os

from framelens_gateway.index_admin.command import framelens_index

# What serves on this machine goes before what an operator does beside it, which must get on all the same.
_NICE = 5


def main() -> None:
    # Before a command is called, which imports what it works with.
    os.nice(_NICE)
    framelens_index()
