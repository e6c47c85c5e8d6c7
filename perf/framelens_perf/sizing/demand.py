"""What is asked of an installation, and the work that this comes to before anything has to wait."""

import math
from dataclasses import dataclass

from framelens_perf.sizing.assumptions import Assumptions
from framelens_perf.sizing.catalog_search import LiteSearch, MilvusSearch
from framelens_perf.sizing.costs import Costs
from framelens_perf.sizing.failures import SizingError
from framelens_perf.sizing.frames import Mix


@dataclass(frozen=True)
class Demand:
    """Frames a second, what they are like, how much is indexed, and how fast an answer has to be.

    With a headroom of 0.3 the SLO is kept at 1.3 times the rate.
    """

    rate: float
    products: int
    slo_ms: float
    mix: Mix
    headroom: float = 0.3

    def __post_init__(self) -> None:
        for name, value in (("rate", self.rate), ("catalogue", self.products), ("SLO", self.slo_ms)):
            if not 0 < value < math.inf:
                raise SizingError(f"{name} is {value:g}; give a number above 0")
        if not 0 <= self.headroom < math.inf:
            raise SizingError(f"headroom is {self.headroom:g}; give a share such as 0.3")

    @property
    def prepared_for(self) -> float:
        """Frames a second at which everything is simulated."""
        return self.rate * (1 + self.headroom)

    @property
    def vectors_per_s(self) -> float:
        """That are searched with, at that rate."""
        return self.prepared_for * (1 - self.mix.hot_share) * self.mix.searched


@dataclass(frozen=True)
class Work:
    """Milliseconds that a frame takes on average of each kind of part, whatever it waits for."""

    core_ms: float
    gateway_ms: float
    gpu_ms: float
    milvus_ms: float


def work_of(mix: Mix, costs: Costs, search: LiteSearch | MilvusSearch, assumed: Assumptions, *, on_gpus: bool) -> Work:
    """The least that a core and a GPU can have to do: batches as full and searches as merged as they get."""
    asked = 1 - mix.hot_share
    whole, objects = 1 - mix.regions, mix.searched
    host_ms = costs.triton_ms + costs.decode_ms + whole * (costs.resize_ms + costs.nms_ms) + objects * costs.crop_ms
    engines_ms = whole * costs.detect_ms + objects * costs.embed_ms
    lite_ms = objects * search.query_ms if isinstance(search, LiteSearch) else 0.0
    return Work(
        core_ms=costs.gateway_ms + asked * (host_ms + lite_ms + (0.0 if on_gpus else engines_ms)),
        gateway_ms=costs.gateway_ms,
        gpu_ms=asked * (whole * assumed.gpu_detect_ms + objects * assumed.gpu_embed_ms) if on_gpus else 0.0,
        milvus_ms=asked * objects * search.query_ms if isinstance(search, MilvusSearch) else 0.0,
    )


def capacity(cores: int, costs: Costs) -> float:
    """Cores' worth of work that so many do when all work, as `events.Cores` has it."""
    crowded = min(1.0, (cores - 1) / (costs.cores - 1)) if costs.cores > 1 else 1.0
    return cores * (1 - (1 - costs.all_busy) * crowded)
