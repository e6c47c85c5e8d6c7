"""How high a score chance gives, from the index itself: from what unrelated products score with each other.

A catalogue holds look-alikes, so the high scores among its pairs say nothing of chance. The middle of all pairs and the
spread below it do, however many variants a product has; the tail above is drawn from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from framelens_gateway.index import Vector

# With fewer products there are too few pairs to tell by.
LEAST_PRODUCTS = 12
# Standard deviations are stretched by this. Background scores lower with a product than another product does, and has a
# longer tail than a normal distribution: what remains of both was measured on photographs (docs/unnamed.md).
TAIL = 1.15
# Of a normal distribution, a standard deviation below the middle.
_BELOW = NormalDist().cdf(-1)


@dataclass(frozen=True)
class Calibration:
    """Of a collection: how many products it has, and the scores of unrelated pairs of them."""

    products: int
    middle: float
    spread: float

    def threshold(self, boxes: int, false_alarms: float) -> float:
        """What a product has to score, lest more than this share of pictures without product have a false match.

        `boxes` of each picture are compared with every product.
        """
        chances = boxes * self.products
        return self.middle + TAIL * NormalDist().inv_cdf(1 - false_alarms / chances) * self.spread


def calibration_of(vectors: Sequence[Vector], products: int) -> Calibration | None:
    """From vectors of length one of several products, one of each; None where they are too few."""
    if len(vectors) < LEAST_PRODUCTS:
        return None
    sample = np.stack(vectors)
    scores = (sample @ sample.T)[np.triu_indices(len(sample), 1)]
    middle, below = np.quantile(scores, (0.5, _BELOW))
    return Calibration(products, float(middle), float(middle - below))
