"""The bars of the critical path: ratios of one run, what was measured for each, and whether it was kept."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Overload:
    """At twice the rate that saturates: what is still answered, how fast, and how fast the rest is refused."""

    goodput_over_peak: float
    p99_ms: float
    refuse_ms: float | None


@dataclass(frozen=True)
class BestPeer:
    """The peer with the largest Poisson rate whose p99 keeps the bound, and ours beside it; frames a second."""

    name: str
    rate: float
    ours: float

    @property
    def ratio(self) -> float | None:
        """None where no rate at all kept the bound: on a machine that is too slow for it."""
        return self.ours / self.rate if self.rate else None


@dataclass(frozen=True)
class Bars:
    """What a run measured; None where it was not asked to."""

    slo_ms: float
    recognizer_over_limit: float
    saturated_over_limit: float
    gateway_added_ms: float
    overload: Overload
    best_peer: BestPeer | None
    hot_over_uncached: float

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        if self.best_peer is not None:
            found["best_peer"]["ratio"] = self.best_peer.ratio
        return found

    def lines(self) -> list["Line"]:
        """Every bar, in the order of the critical path."""
        overload, peer = self.overload, self.best_peer
        return [
            Line("recognizer alone, over the limit on one core", self.recognizer_over_limit, at_most=1.15),
            Line("saturated frames/s, over (cores / limit)", self.saturated_over_limit, at_least=0.85),
            Line("gateway, added to recognizer, without the search, ms", self.gateway_added_ms, at_most=2.0),
            Line("at twice the saturating rate: goodput over peak", overload.goodput_over_peak, at_least=0.9),
            Line("... p99 of what is accepted, ms", overload.p99_ms, at_most=self.slo_ms),
            Line("... time to refuse, median, ms", overload.refuse_ms, at_most=5.0),
            Line(
                f"ours over the best peer ({peer.name if peer else 'not measured'}), frames/s with p99 kept",
                peer.ratio if peer else None,
                at_least=1.5,
            ),
            Line("hot frames/s, over uncached", self.hot_over_uncached, at_least=5.0),
        ]

    def table(self) -> Table:
        table = Table("what", "measured", "bar", "")
        for line in self.lines():
            verdict = "" if line.value is None else "[green]kept[/]" if line.kept else "[bold red]missed[/]"
            table.add_row(line.what, "-" if line.value is None else f"{line.value:.2f}", line.bar, verdict)
        return table


@dataclass(frozen=True)
class Line:
    """One figure and its bar."""

    what: str
    value: float | None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def kept(self) -> bool:
        if self.value is None:
            return True
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    @property
    def bar(self) -> str:
        return f"at most {self.at_most:g}" if self.at_most is not None else f"at least {self.at_least:g}"
