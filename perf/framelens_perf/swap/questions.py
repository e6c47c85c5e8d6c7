"""What is asked during a swap: altered pictures of the sample catalogue whose right answer is known."""

from dataclasses import dataclass
from pathlib import Path

from framelens_client import Box
from framelens_perf.alterations import altered_jpeg, encoded, flipped, relit
from framelens_perf.recall import references
from framelens_perf.sample_frames import RECOGNISED

WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Question:
    """A picture and the product that must come first; without a region its objects are detected."""

    picture: bytes
    product: str
    region: Box | None


def questions(catalogue: Path, pictures: Path) -> list[Question]:
    """As many frames to recognise as regions to search, so that both engines work."""
    frames = [
        Question(altered_jpeg(pictures / frame.picture, *frame.alterations), frame.product, None)
        for frame in RECOGNISED
        if frame.product is not None
    ]
    regions = [
        Question(encoded(relit(flipped(reference))), product, WHOLE)
        for product, reference in references(catalogue, pictures)
    ]
    return [question for pair in zip(frames * len(regions), regions, strict=False) for question in pair]
