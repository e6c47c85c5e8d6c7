"""The process of `framelens-index`."""

import os

# What serves on this machine goes before what an operator does beside it, which must get on all the same.
_NICE = 5


def main() -> None:
    os.nice(_NICE)
    # Imported here, for that alone takes a core a second.
    from framelens_gateway.index_admin.command import framelens_index

    framelens_index()
