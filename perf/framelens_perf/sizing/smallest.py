"""Searches for the fewest cores whose simulated p99 keeps an SLO."""

import itertools
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from framelens_perf.open_loop.schedule import poisson
from framelens_perf.open_loop.summary import percentile
from framelens_perf.sizing.assumptions import Assumptions
from framelens_perf.sizing.catalog_search import BUSIEST, LiteSearch, MilvusSearch, search_of
from framelens_perf.sizing.costs import Costs
from framelens_perf.sizing.demand import Demand, Work, capacity, work_of
from framelens_perf.sizing.failures import SizingError, Unreachable
from framelens_perf.sizing.frames import Frame, frames
from framelens_perf.sizing.serving import RECOGNIZERS, Parts, Serving

_FEWEST_REQUESTS, _MOST_REQUESTS = 6_000, 30_000
# A queue shows in a time that is so many times as long as the SLO.
_SLOS = 5
# One in so many, the first: they meet queues that are still filling.
_WARM_UP = 10
_P99 = 0.99
# Cores are no busier: the seconds that are simulated don't show a queue that grows for minutes.
_FULLEST = 0.95
# Of the cores that the work alone takes; where so many don't help, more would not.
_DOUBLINGS = 4
# To a hundredth: p99 of so many requests says no more.
_EXACT = 100


@dataclass(frozen=True)
class Sizing:
    """The parts, and what their simulation came to at `rate` frames a second, head-room included."""

    parts: Parts
    milvus_nodes: int
    recognizers: int
    rate: float
    work: Work
    cores_busy: float
    p50_ms: float
    p99_ms: float
    search: LiteSearch | MilvusSearch

    def to_json(self) -> dict[str, Any]:
        model = "milvus_lite" if isinstance(self.search, LiteSearch) else "milvus"
        return asdict(self) | {"search": {"model": model, **asdict(self.search)}}


def smallest(demand: Demand, costs: Costs, assumed: Assumptions, *, on_gpus: bool = False, seed: int = 0) -> Sizing:
    """Raises SizingError, and of these Unreachable where nothing keeps the SLO."""
    search = search_of(costs, assumed, demand.products, demand.vectors_per_s)
    work = work_of(demand.mix, costs, search, assumed, on_gpus=on_gpus)
    trials = _Trials(demand, costs, assumed, search, seed)
    least = _parts_for(work, demand.prepared_for, costs, assumed, search)
    trials.require_one_alone(least)
    parts = _fewest_cores(least, trials)
    latencies = trials.latencies_ms(parts)
    return Sizing(
        parts=parts,
        milvus_nodes=parts.milvus_cores // assumed.node_cores,
        recognizers=RECOGNIZERS * parts.machines(costs),
        rate=demand.prepared_for,
        work=work,
        cores_busy=demand.prepared_for * work.core_ms / 1e3 / capacity(parts.cores, costs),
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        search=search,
    )


class _Trials:
    """Simulates the same arrivals with different parts, so that parts are all that differs."""

    def __init__(
        self, demand: Demand, costs: Costs, assumed: Assumptions, search: LiteSearch | MilvusSearch, seed: int
    ) -> None:
        self._demand, self._costs, self._assumed, self._search = demand, costs, assumed, search
        self._known: dict[Parts, list[float]] = {}
        seconds = _requests(demand) / demand.prepared_for
        self._frames = frames(poisson(demand.prepared_for, seconds, seed), demand.mix, seed)
        self._warm_up = len(self._frames) // _WARM_UP

    def latencies_ms(self, parts: Parts) -> list[float]:
        """Once the SLO cannot be kept any more, the rest counts as endless."""
        if parts not in self._known:
            most_late = (self._demand.slo_ms, self._warm_up + len(self._frames) // 100)
            self._known[parts] = self._serving(parts).latencies_ms(self._frames, most_late)[self._warm_up :]
        return self._known[parts]

    def keeps(self, parts: Parts) -> bool:
        return percentile(self.latencies_ms(parts), 99) <= self._demand.slo_ms

    def require_one_alone(self, parts: Parts) -> None:
        """Raises Unreachable where the shortest recognition takes too long, though it waits for nothing."""
        mix = self._demand.mix
        if mix.hot_share >= _P99:
            return
        region = mix.regions > 0
        frame = Frame(0.0, 1 if region else int(mix.objects), hot=False, region=region)
        (alone_ms,) = self._serving(parts).latencies_ms([frame])
        if alone_ms > self._demand.slo_ms:
            raise Unreachable(
                f"a frame that waits for nothing takes {alone_ms:.0f} ms, and the SLO is {self._demand.slo_ms:g} ms:"
                " more cores don't help; build faster engines (INT8), take --gpus, or allow more time with --slo-ms"
            )

    def unreachable(self, parts: Parts) -> Unreachable:
        return Unreachable(
            f"not even {parts.cores} cores keep p99 within {self._demand.slo_ms:g} ms at"
            f" {self._demand.prepared_for:g} frames/s: something else is waited for, such as the search of so large a"
            " catalogue; allow more time with --slo-ms, or change what is assumed of Milvus with --assume"
        )

    def _serving(self, parts: Parts) -> Serving:
        return Serving(parts, self._costs, self._search, self._assumed)


def _requests(demand: Demand) -> int:
    """Raises SizingError where they are too many to simulate."""
    count = max(_FEWEST_REQUESTS, math.ceil(_SLOS * demand.slo_ms / 1e3 * demand.prepared_for))
    if count > _MOST_REQUESTS:
        raise SizingError(
            f"{demand.rate:g} frames/s at an SLO of {demand.slo_ms:g} ms are more than is simulated: divide them among"
            f" equal installations, such as {math.ceil(count / _FEWEST_REQUESTS)}, and size one of these"
        )
    return count


def _parts_for(work: Work, rate: float, costs: Costs, assumed: Assumptions, search: LiteSearch | MilvusSearch) -> Parts:
    """The cores that the work alone takes, and everything else as it will be."""
    cores = next(count for count in itertools.count(1) if _FULLEST * capacity(count, costs) > rate * work.core_ms / 1e3)
    nodes = 0
    if isinstance(search, MilvusSearch):
        nodes = max(search.nodes_for_memory, _servers(rate * work.milvus_ms / assumed.node_cores))
    # A gateway is one process of Python: it has one core, as fast as a core is while others work.
    gateways = max(1, _servers(rate * work.gateway_ms / costs.all_busy))
    return Parts(cores, gateways, _servers(rate * work.gpu_ms), nodes * assumed.node_cores)


def _servers(busy_ms: float) -> int:
    """For so much work in a second."""
    return math.ceil(busy_ms / 1e3 / BUSIEST)


def _fewest_cores(least: Parts, trials: _Trials) -> Parts:
    """Raises Unreachable."""
    doubled = [replace(least, cores=least.cores << times) for times in range(_DOUBLINGS + 1)]
    enough = next((parts.cores for parts in doubled if trials.keeps(parts)), None)
    if enough is None:
        raise trials.unreachable(doubled[-1])
    too_few = enough // 2 if enough > least.cores else enough - 1
    while enough - too_few > max(1, enough // _EXACT):
        middle = (enough + too_few) // 2
        if trials.keeps(replace(least, cores=middle)):
            enough = middle
        else:
            too_few = middle
    return replace(least, cores=enough)
