"""How much alike things look, by their mean embeddings."""

from framelens_gateway.videos.track import Embedding

# Measured on pedestrians with the 1280 numbers of EfficientNet-B0: sightings of one have a mean similarity of .68, of
# two .58, each with a standard deviation of .07 when averaged over a few; so .63 tells nothing, and each hundredth
# changes the log likelihood by .15 (half of what independent sightings would tell).
_NEITHER = 0.63
_PER_SIMILARITY = 15.0


def unlikeness(one: Embedding | None, other: Embedding | None, most: float) -> float:
    """Negative log likelihood of both being of one thing against two, at most so far from 0; 0 where unknown."""
    if one is None or other is None:
        return 0.0
    return unlikeness_of(float(one @ other), most)


def unlikeness_of(similarity: float, most: float) -> float:
    """The same of the product of both."""
    return max(-most, min(most, _PER_SIMILARITY * (_NEITHER - similarity)))
