"""What was measured of each peer, as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

from framelens_perf.peers.measurement import Measured, Plan


@dataclass(frozen=True)
class PeerResult:
    """One peer's figures; `settings` are those that differ from its file's."""

    name: str
    version: str
    settings: dict[str, str]
    measured: Measured

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"measured": self.measured.to_json()}


def peer_table(results: Sequence[PeerResult], plan: Plan) -> Table:
    bound = f"frames/s, p99 <= {plan.p99_bound_ms:.0f} ms"
    table = Table("peer", "version", "alone ms", "saturated frames/s", bound, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for result in results:
        measured = result.measured
        figures = (measured.alone_ms, measured.saturated, measured.sustained)
        table.add_row(result.name, result.version, *(f"{figure:.1f}" for figure in figures))
    return table


def doubts(result: PeerResult) -> list[str]:
    """What a reader must know before relying on the figures, one line each."""
    measured, said = result.measured, []
    if measured.saturated_failures:
        said.append(f"{result.name}: {measured.saturated_failures} requests failed while saturated")
    if measured.delayed_share > 0.01:
        said.append(
            f"{result.name}: the generator sent {measured.delayed_share:.0%} of all requests late, which"
            " counts against the peer; give it a core of its own"
        )
    return said
