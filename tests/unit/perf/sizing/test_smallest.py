"""The fewest cores: enough of them, the same for the same seed, and never fewer for more."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from framelens_perf.sizing import smallest as module
from framelens_perf.sizing.assumptions import Assumptions, assumptions
from framelens_perf.sizing.costs import Costs
from framelens_perf.sizing.demand import Demand
from framelens_perf.sizing.failures import SizingError, Unreachable
from framelens_perf.sizing.frames import Mix
from framelens_perf.sizing.smallest import Sizing, smallest

ASSUMED = Assumptions()


@pytest.fixture(autouse=True)
def few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough to tell one number of cores from the next."""
    monkeypatch.setattr(module, "_FEWEST_REQUESTS", 1_000)


def sized(costs: Costs, on_gpus: bool = False, assumed: Assumptions = ASSUMED, **changed: Any) -> Sizing:
    demand = Demand(rate=60, products=10_000, slo_ms=150, mix=Mix(costs.objects))
    return smallest(replace(demand, **changed), costs, assumed, on_gpus=on_gpus)


def test_the_slo_is_kept_by_no_more_cores_than_needed(costs: Costs) -> None:
    found = sized(costs)
    assert found.p50_ms < found.p99_ms <= 150
    assert 60 * 1.3 * 0.029 < found.parts.cores <= 8
    assert found == sized(costs)


def test_more_is_never_done_by_fewer(costs: Costs) -> None:
    cores = [sized(costs, rate=rate).parts.cores for rate in (5, 20, 40, 60, 120, 200)]
    assert all(more >= less for less, more in pairwise(cores))
    gateways = [sized(costs, rate=rate).parts.gateways for rate in (100, 500)]
    assert gateways[0] < gateways[1]


def test_a_looser_slo_and_less_headroom_need_no_more(costs: Costs) -> None:
    usual = sized(costs).parts.cores
    assert sized(costs, slo_ms=400).parts.cores <= usual
    assert sized(costs, headroom=0).parts.cores <= usual <= sized(costs, headroom=1).parts.cores


def test_frames_answered_before_and_regions_cost_less(costs: Costs) -> None:
    usual = sized(costs, rate=200)
    assert sized(costs, rate=200, mix=Mix(costs.objects, hot_share=0.8)).parts.cores < usual.parts.cores / 2
    assert sized(costs, rate=200, mix=Mix(costs.objects, regions=1)).parts.cores < usual.parts.cores


def test_engines_on_gpus_leave_the_rest_to_cores(costs: Costs) -> None:
    found, usual = sized(costs, on_gpus=True, rate=800), sized(costs, rate=800)
    assert usual.parts.gpus == 0
    assert found.parts.gpus == 2
    assert found.parts.cores < usual.parts.cores / 2


def test_a_large_catalogue_takes_milvus_nodes(costs: Costs) -> None:
    assert sized(costs).milvus_nodes == 0
    found = sized(costs, products=50_000_000, assumed=assumptions(["segment_gib=8"]))
    assert found.milvus_nodes == found.parts.milvus_cores / 16 >= 6
    assert found.to_json()["search"]["model"] == "milvus"


def test_a_frame_that_is_too_slow_alone(costs: Costs) -> None:
    with pytest.raises(Unreachable, match=r"takes \d+ ms, and the SLO is 20 ms.*--gpus"):
        sized(costs, slo_ms=20)


def test_a_search_that_cores_do_not_help(costs: Costs) -> None:
    with pytest.raises(Unreachable, match=r"not even \d+ cores keep p99 within 150 ms.*--assume"):
        sized(costs, assumed=assumptions(["milvus_call_ms=120"]), products=30_000, slo_ms=150)


@pytest.mark.parametrize(
    "absurd",
    [{"rate": 0}, {"rate": float("inf")}, {"rate": float("nan")}, {"products": -1}, {"slo_ms": 0}, {"headroom": -0.1}],
)
def test_what_makes_no_sense_is_refused(costs: Costs, absurd: dict[str, float]) -> None:
    with pytest.raises(SizingError, match=r"; give a "):
        sized(costs, **absurd)


def test_more_than_can_be_simulated_is_to_be_divided(costs: Costs) -> None:
    with pytest.raises(SizingError, match=r"divide them among equal installations, such as \d+"):
        sized(costs, rate=100_000)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_one(share: float) -> None:
    with pytest.raises(SizingError, match="hot share is .*between 0 and 1"):
        Mix(1.5, hot_share=share)
