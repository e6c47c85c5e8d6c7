"""Plots of a report, as SVG to stand in a page."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framelens_perf.critical_path.limit import LIMIT_STAGES
from framelens_perf.critical_path.waterfall import SEGMENTS

matplotlib.rcParams.update({"svg.fonttype": "none", "font.size": 10, "axes.spines.top": False})
_WIDTH = 9.0
_BINS = 20
_COLOURS = matplotlib.colormaps["tab20"]


def latency_against_load(curve: Sequence[Mapping[str, Any]], slo_ms: float) -> str:
    """p50, p95 and p99 of the answers at each offered rate, and the SLO."""
    figure, axes = _figure(3.6)
    rates = [point["rate"] for point in curve]
    for name, marker in (("p50", "o"), ("p95", "s"), ("p99", "^")):
        axes.plot(rates, [point["latency_ms"].get(name, math.nan) for point in curve], marker=marker, label=name)
    axes.axhline(slo_ms, linestyle=":", color="grey", label=f"SLO {slo_ms:g} ms")
    axes.set(xlabel="offered frames/s (Poisson)", ylabel="latency, ms", ylim=(0, None))
    axes.legend(frameon=False)
    return _svg(figure)


def waterfalls(point: Mapping[str, Any], limit_ms: Mapping[str, float]) -> str:
    """Where the time of the median and of the p99 request went at one load, over what one core alone would take."""
    figure, axes = _figure(2.6)
    rows = {
        "limit, one core": {stage: limit_ms[stage] for stage in LIMIT_STAGES},
        f"p50 at {point['share']:.0%}": point["waterfall_p50_ms"],
        f"p99 at {point['share']:.0%}": point["waterfall_p99_ms"],
    }
    for row, times in enumerate(rows.values()):
        _stack(axes, row, times)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set(xlabel="ms")
    handles, names = axes.get_legend_handles_labels()
    shown = dict(zip(names, handles, strict=True))
    axes.legend(shown.values(), shown.keys(), frameon=False, ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return _svg(figure)


def _stack(axes: Axes, row: int, times: Mapping[str, float]) -> None:
    left = 0.0
    for number, segment in enumerate(SEGMENTS):
        width = max(0.0, times.get(segment, 0.0))
        axes.barh(row, width, left=left, color=_COLOURS(number), label=segment)
        left += width


def histograms(curve: Sequence[Mapping[str, Any]]) -> str:
    """How the latencies of each load are spread."""
    figure, axes = _figure(3.0)
    told = [point["latencies_ms"] for point in curve if point["latencies_ms"]]
    least, most = min((each[0] for each in told), default=1.0), max((each[-1] for each in told), default=10.0)
    edges = [least * (most / least) ** (step / _BINS) for step in range(_BINS + 1)]
    for point in curve:
        axes.hist(point["latencies_ms"], bins=edges, histtype="step", label=f"{point['share']:.0%}")
    axes.set(xscale="log", xlabel="latency, ms", ylabel="answers")
    axes.legend(frameon=False, title="of saturated")
    return _svg(figure)


def comparison(names: Sequence[str], rates: Sequence[float]) -> str:
    """Frames a second with p99 kept, ours beside the peers'."""
    figure, axes = _figure(0.6 + 0.4 * len(names))
    axes.barh(names, rates, color=[_COLOURS(0 if number == 0 else 1) for number in range(len(names))])
    axes.invert_yaxis()
    axes.set(xlabel="frames/s at Poisson times with p99 kept")
    return _svg(figure)


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    _, start, rest = buffer.getvalue().partition("<svg")
    return start + rest
