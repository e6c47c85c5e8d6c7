"""What a search costs in a catalogue of some size: on Milvus Lite, and on Milvus."""

import math
from dataclasses import dataclass

from framelens_perf.sizing.assumptions import Assumptions
from framelens_perf.sizing.costs import Costs

# As in the gateway: vectors of one call to the index.
MOST_VECTORS = 64
# Of one server; with random arrivals it then makes a request wait for twice as long as it takes (M/D/1:
# 0.8 / (2 x 0.2)).
BUSIEST = 0.8
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


def search_of(costs: Costs, assumed: Assumptions, products: int, vectors_per_s: float) -> LiteSearch | MilvusSearch:
    """Milvus Lite as long as it is made for so many rows, and its one process for so many vectors a second."""
    rows = products * assumed.pictures_per_product
    lite = lite_search(costs, assumed, rows)
    busy = vectors_per_s * (lite.call_ms / MOST_VECTORS + lite.query_ms) / 1e3 / costs.all_busy
    return lite if rows <= assumed.lite_rows_most and busy <= BUSIEST else milvus_search(assumed, rows)
