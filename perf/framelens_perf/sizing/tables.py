"""A sizing and a check for people."""

from rich import box
from rich.table import Table

from framelens_perf.sizing.assumptions import Assumptions
from framelens_perf.sizing.catalog_search import LiteSearch
from framelens_perf.sizing.check import Check, CheckedLoad, Simulated
from framelens_perf.sizing.demand import Demand
from framelens_perf.sizing.smallest import Sizing


def sizing_table(found: Sizing, demand: Demand, assumed: Assumptions) -> Table:
    """A line for each part, and what decided its number."""
    parts, work = found.parts, found.work
    asked = f"{demand.rate:g} frames/s, {demand.products:,} products, p99 within {demand.slo_ms:g} ms"
    title = f"{asked}; simulated at {found.rate:g} frames/s: p50 {found.p50_ms:.0f} ms, p99 {found.p99_ms:.0f} ms"
    table = Table("part", "needed", "because", box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.columns[1].justify = "right"
    busy = f"{work.core_ms:.1f} ms of a core for each frame; {found.cores_busy:.0%} busy"
    table.add_row("cores", str(parts.cores), f"{busy}; {found.recognizers} instances of recognizer")
    if parts.gpus:
        table.add_row("GPUs", str(parts.gpus), f"{work.gpu_ms:.2f} ms of a GPU for each frame (assumed)")
    table.add_row("gateways", str(parts.gateways), f"{work.gateway_ms:.1f} ms of one for each frame; on those cores")
    table.add_row(*_index(found, demand, assumed))
    gbit = found.rate * assumed.frame_kb * 8e-6
    table.add_row("network", f"{gbit:.2g} Gbit/s", f"{assumed.frame_kb:g} kB a frame; to gateways, and again to Triton")
    return table


def _index(found: Sizing, demand: Demand, assumed: Assumptions) -> tuple[str, str, str]:
    rows = demand.products * assumed.pictures_per_product
    if isinstance(found.search, LiteSearch):
        call = f"a call takes {found.search.core_ms(1):.1f} ms on those cores"
        return "Milvus Lite", "1", f"{rows:,.0f} rows, at most {assumed.lite_rows_most:,}; {call}"
    search, busy = found.search, found.rate * found.work.milvus_ms / 1e3
    many = f"more than {assumed.lite_rows_most:,}" if rows > assumed.lite_rows_most else "too many searches for Lite"
    because = (
        f"{rows:,.0f} rows, {many}: {search.nodes_for_memory} for memory;"
        f" {busy:.3g} of {found.parts.milvus_cores} cores busy in {search.segments} segments (assumed)"
    )
    return "Milvus nodes", str(found.milvus_nodes), because


def check_table(found: Check) -> Table:
    heads = ("frames/s", "requests", "p50", "simulated", "error", "p99", "simulated", "error", "by chance")
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False, title="ms measured, and simulated", title_justify="left")
    for column in table.columns:
        column.justify = "right"
    for load in found.loads:
        requests = f"{load.requests}{'' if load.honest else '*'}"
        table.add_row(f"{load.rate:.1f}", requests, *_cells(load.p50), *_cells(load.p99), _spread(load))
    return table


def check_sentences(found: Check) -> list[str]:
    sentences = [
        "by chance: p99 of nine in ten simulated runs of as many requests; outside: not what was measured",
        f"callers who never pause got {found.saturated:.1f} frames/s; the cores could do {found.capacity:.1f}"
        f" ({found.capacity / found.saturated - 1:+.0%})",
    ]
    if not all(load.honest for load in found.loads):
        sentences.append("* the generator was late for more than 1 % of these: it measured itself")
    return sentences


def _cells(found: Simulated) -> tuple[str, str, str]:
    return f"{found.measured:.0f}", f"{found.simulated:.0f}", f"{found.error:+.0%}"


def _spread(load: CheckedLoad) -> str:
    return f"{load.p99.least:.0f} to {load.p99.most:.0f}{'' if load.p99.by_chance else '; outside'}"
