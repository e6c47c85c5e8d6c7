"""Searches cost what was measured, and more in a larger catalogue."""

import math
from itertools import pairwise

import pytest

from framelens_perf.sizing.assumptions import Assumptions, assumptions
from framelens_perf.sizing.catalog_search import LiteSearch, MilvusSearch, lite_search, milvus_search, search_of
from framelens_perf.sizing.costs import Costs
from framelens_perf.sizing.failures import SizingError

ASSUMED = Assumptions()


def test_lite_is_as_measured_where_it_was_measured(costs: Costs) -> None:
    found = lite_search(costs, ASSUMED, costs.products)
    assert found.call_ms + costs.objects * found.query_ms == pytest.approx(costs.search_ms)


def test_lite_grows_with_rows_and_is_never_negative(costs: Costs) -> None:
    calls = [lite_search(costs, ASSUMED, rows).call_ms for rows in (0, 1_000, 10_000, 20_000)]
    assert calls[0] >= 0
    assert all(more > less for less, more in pairwise(calls))


def test_milvus_serves_what_lite_should_not(costs: Costs) -> None:
    assert isinstance(search_of(costs, ASSUMED, 20_000, 100), LiteSearch)
    assert isinstance(search_of(costs, ASSUMED, 20_001, 100), MilvusSearch)
    assert isinstance(search_of(costs, assumptions(["pictures_per_product=3"]), 10_000, 100), MilvusSearch)


def test_lite_is_one_process(costs: Costs) -> None:
    """At 0.5 ms for each vector it does not do 2,000 a second."""
    assert isinstance(search_of(costs, ASSUMED, 10_000, 2_000), MilvusSearch)


def test_milvus_is_logarithmic_within_a_segment_and_searches_all_of_them() -> None:
    whole = assumptions(["segment_gib=1000"])
    small, large = milvus_search(whole, 100_000), milvus_search(whole, 10_000_000)
    assert (small.segments, large.segments) == (1, 1)
    assert large.query_ms / small.query_ms == pytest.approx(math.log(1e7) / math.log(1e5))
    assert milvus_search(ASSUMED, 10_000_000).segments == math.ceil(1e7 * 5120 / 2**30)


def test_nodes_hold_the_vectors() -> None:
    # 5.12 TB and a tenth more, in nodes that hold 0.7 of 64 GiB.
    assert milvus_search(ASSUMED, 1e9).nodes_for_memory == math.ceil(5.12e12 * 1.1 / (0.7 * 64 * 2**30))
    assert milvus_search(assumptions(["bytes_per_number=1"]), 1e9).nodes_for_memory == 30
    assert milvus_search(assumptions(["replicas=2"]), 30_000).nodes_for_memory == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gpu_detect_ms", "write NAME=VALUE"),
        ("gpu_detect=1", "gpu_detect: .*there are .*gpu_detect_ms"),
        ("gpu_detect_ms=-1", "gpu_detect_ms: .*greater than 0"),
        ("node_filled=2", "node_filled: .*less than or equal to 1"),
        ("node_gib=nan", "node_gib: "),
    ],
)
def test_what_cannot_be_assumed(given: str, said: str) -> None:
    with pytest.raises(SizingError, match=said):
        assumptions([given])
