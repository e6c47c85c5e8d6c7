"""What a search costs in a catalogue of some size: on Milvus Lite, and on Milvus."""

import math
from dataclasses import dataclass

from framelens_perf.sizing.assumptions import Assumptions
from framelens_perf.sizing.costs import Costs

# Rows of the segment that `milvus_query_ms` is of.
_REFERENCE_ROWS = 100_000


@dataclass(frozen=True)
class LiteSearch:
    """A call is work in Python that grows with the rows, on one core of those that recognise, and a part per vector."""

    call_ms: float
    query_ms: float

    def core_ms(self, vectors: int) -> float:
        return self.call_ms + vectors * self.query_ms


@dataclass(frozen=True)
class MilvusSearch:
    """A call is a way there and back, and for each vector a search of every segment, on cores of Milvus' own."""

    call_ms: float
    query_ms: float
    segments: int
    nodes_for_memory: int


def lite_search(costs: Costs, assumed: Assumptions, rows: float) -> LiteSearch:
    """From the report's own search, moved to so many rows."""
    measured_ms = max(0.0, costs.search_ms - costs.objects * assumed.lite_query_ms)
    # Never so much that an index without rows would take less than nothing.
    per_row_ms = min(assumed.lite_ms_per_1000_rows / 1e3, measured_ms / costs.products)
    return LiteSearch(measured_ms + per_row_ms * (rows - costs.products), assumed.lite_query_ms)


def milvus_search(assumed: Assumptions, rows: float) -> MilvusSearch:
    """About logarithmic within a segment; every segment of a collection is searched."""
    segment_rows = assumed.segment_gib * 2**30 / assumed.row_bytes
    segments = max(1, math.ceil(rows / segment_rows))
    grown = math.log(max(2.0, min(rows, segment_rows))) / math.log(_REFERENCE_ROWS)
    held = rows * assumed.row_bytes * assumed.index_overhead * assumed.replicas
    nodes = max(assumed.replicas, math.ceil(held / (assumed.node_gib * 2**30 * assumed.node_filled)))
    return MilvusSearch(assumed.milvus_call_ms, segments * assumed.milvus_query_ms * grown, segments, nodes)


def search_of(costs: Costs, assumed: Assumptions, products: int) -> LiteSearch | MilvusSearch:
    rows = products * assumed.pictures_per_product
    return lite_search(costs, assumed, rows) if rows <= assumed.lite_rows_most else milvus_search(assumed, rows)
