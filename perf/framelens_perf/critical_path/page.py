"""The report as one page that needs nothing else: bars, plots, tables."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from framelens_perf.critical_path import plots
from framelens_perf.critical_path.bars import Line
from framelens_perf.critical_path.limit import LIMIT_STAGES

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums } .kept { color: #18794e } .missed { color: #c62a2f }
svg { max-width: 100%; height: auto } h2 { margin-top: 2.5rem }
"""


def page(report: Mapping[str, Any], lines: Sequence[Line]) -> str:
    """HTML of a report.json and its bars."""
    curve, limit_ms = report["curve"], report["saturated"]["one_core_stages_ms"]
    middle = curve[len(curve) // 2]
    sections = [
        f"<h1>The critical path of FrameLens</h1><p>{_where(report)}</p>",
        _bars(lines),
        "<h2>Each stage, alone, over the limit on one core</h2>" + _stages(report["alone"]["stages_ms"], limit_ms),
        "<h2>Latency against load</h2>" + plots.latency_against_load(curve, report["bars"]["slo_ms"]),
        "<h2>Where the time goes</h2>" + plots.waterfalls(middle, limit_ms) + _triton(middle["triton"]),
        "<h2>How latencies are spread</h2>" + plots.histograms(curve),
        *_peers(report),
    ]
    body = "\n".join(sections)
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>FrameLens</title><style>{_STYLE}</style>{body}'


def _where(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    return escape(
        f"{report['time']}; {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB,"
        f" {machine['system']}; engines in {report['precision']}, {report['products']} products indexed."
    )


def _bars(lines: Sequence[Line]) -> str:
    rows = [[line.what, "-" if line.value is None else f"{line.value:.2f}", line.bar, _verdict(line)] for line in lines]
    return _table(["what", "measured", "bar", ""], rows)


def _verdict(line: Line) -> str:
    return "" if line.value is None else "kept" if line.kept else "missed"


def _stages(alone_ms: Mapping[str, float], limit_ms: Mapping[str, float]) -> str:
    rows = [
        [stage, f"{limit_ms[stage]:.1f}", f"{alone_ms[stage]:.1f}", f"{alone_ms[stage] / limit_ms[stage]:.2f}"]
        for stage in LIMIT_STAGES
    ]
    return _table(["stage", "limit, ms", "served alone, ms", "times"], rows)


def _triton(models: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [name, f"{each['mean_batch']:.2f}", f"{each['queue_ms']:.1f}", f"{each['compute_ms']:.1f}"]
        for name, each in models.items()
    ]
    return _table(["as Triton counts", "mean batch", "queue, ms", "compute, ms"], rows)


def _peers(report: Mapping[str, Any]) -> list[str]:
    peers = report.get("peers") or []
    if not peers:
        return []
    names, rates = [each["name"] for each in peers], [each["measured"]["sustained"] for each in peers]
    return ["<h2>Beside other servers</h2>" + plots.comparison(names, rates)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(_cell(number, each) for number, each in enumerate(row))}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(number: int, text: str) -> str:
    kind = text if text in ("kept", "missed") else "number" if number else "name"
    return f'<td class="{kind}">{escape(text)}</td>'
