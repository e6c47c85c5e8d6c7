"""The state of the index as people read it in a terminal."""

from rich.console import Console
from rich.table import Table

from framelens_gateway.index_admin.state import State

_WIDTH_OF_FILES = 160


def state_table(state: State) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("alias", "state", "collection", "space", "index", "rows"):
        table.add_column(column, overflow="fold", justify="right" if column == "rows" else "left")
    for each in state.collections:
        table.add_row(each.alias, each.state, each.collection, each.space, each.index_type, str(each.rows))
    return table


def printed(table: Table) -> None:
    """Wide enough that a file or a pipe gets each row on one line."""
    plain = Console()
    (plain if plain.is_terminal else Console(width=_WIDTH_OF_FILES)).print(table)
