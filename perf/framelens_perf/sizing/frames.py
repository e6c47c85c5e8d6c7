"""The frames of a simulation: when each arrives, and what it asks for."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from framelens_perf.sizing.failures import SizingError


@dataclass(frozen=True)
class Mix:
    """Which share of the frames was answered before, which shares draw a region, and objects in one on average."""

    objects: float
    hot_share: float = 0.0
    regions: float = 0.0

    def __post_init__(self) -> None:
        for name, share in (("hot share", self.hot_share), ("regions", self.regions)):
            if not 0 <= share <= 1:
                raise SizingError(f"{name} is {share:g}; give a share between 0 and 1")

    @property
    def searched(self) -> float:
        """Vectors that a frame which is not hot is searched with, on average."""
        return self.regions + (1 - self.regions) * self.objects


@dataclass(frozen=True, slots=True)
class Frame:
    """One request; a region is one object, and nothing is detected for it."""

    at_ms: float
    objects: int
    hot: bool
    region: bool


def frames(arrivals_s: Sequence[float], mix: Mix, seed: int) -> list[Frame]:
    """The same for the same seed; the number of objects is one of the two whole numbers around their mean."""
    draw = random.Random(seed)  # noqa: S311 - the same in every run
    found = []
    for at_s in arrivals_s:
        hot, region, more = (draw.random() for _ in range(3))
        objects = int(mix.objects) + (more < mix.objects % 1)
        is_region = region < mix.regions
        found.append(Frame(at_s * 1e3, 1 if is_region else objects, hot < mix.hot_share, is_region))
    return found
