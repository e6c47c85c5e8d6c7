"""The `framelens` command, of the extra `cli`."""

import sys

_PACKAGES = ("click", "rich", "PIL")


def main() -> None:
    """Exits with 0 when all went well, 1 when a call or a row failed, 2 for wrong usage, 130 after Ctrl-C."""
    try:
        from framelens_client.cli.command import framelens
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        sys.exit(f"framelens: {error.name} is not installed; the command needs: pip install 'framelens-client[cli]'")
    framelens(prog_name="framelens")
