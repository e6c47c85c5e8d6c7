"""One thing, followed while it is in view: what was seen of it, and when it showed best."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from framelens_gateway.geometry import area
from framelens_gateway.recognizer import Box
from framelens_gateway.videos.track_colours import Colours

# A track begins with a detection of this confidence.
CLEAR_SCORE = 0.5
# Seen once, and only so clearly, is enough.
_CLEAR_AT_ONCE = 0.8


class Detection(NamedTuple):
    """One thing in one frame; `colours` are None where it is followed by its motion alone."""

    label: str
    score: float
    box: Box
    colours: Colours | None = None


class Seen(NamedTuple):
    """One sighting; seconds of the video."""

    at_s: float
    box: Box
    score: float


@dataclass
class _Sum:
    total: Colours | None = None
    count: int = 0

    def add(self, total: Colours | None, count: int) -> None:
        if total is not None:
            self.total = total if self.total is None else self.total + total
            self.count += count


@dataclass(eq=False)
class Track:
    """One thing, or a piece of its way."""

    seen: list[Seen] = field(default_factory=list)
    # Confidence by label: the detector may call one thing by several names.
    votes: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    # It begins where another went out of sight beside it, so its box may be of both.
    is_shared: bool = False
    _best: Seen | None = None
    _alone: _Sum = field(default_factory=_Sum)
    _all: _Sum = field(default_factory=_Sum)

    @property
    def label(self) -> str:
        return max(self.votes, key=lambda label: self.votes[label])

    @property
    def best(self) -> Seen:
        """Where it shows best: confident and large."""
        return self._best or self.last

    @property
    def first(self) -> Seen:
        return self.seen[0]

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    @property
    def is_sound(self) -> bool:
        """Whether it is more than a slip of the detector."""
        clear = max(seen.score for seen in self.seen)
        return clear >= CLEAR_SCORE and (len(self.seen) > 1 or clear >= _CLEAR_AT_ONCE)

    @property
    def shows_alone(self) -> bool:
        """Whether `colours` are of sightings in which nothing else is in its box."""
        return self._alone.count > 0

    @property
    def colours(self) -> Colours | None:
        """The mean, not normalised: the product of two is the mean of what their sightings share."""
        mean = self._alone if self.shows_alone else self._all
        return None if mean.total is None else mean.total / np.float32(mean.count)

    def add(self, at_s: float, detection: Detection, *, alone: bool = True) -> None:
        """Takes a sighting, later than all before it; `alone` where its box has nothing else in it."""
        seen = Seen(at_s, detection.box, detection.score)
        self.seen.append(seen)
        self.votes[detection.label] += detection.score
        self._best = _better(self._best, seen)
        self._all.add(detection.colours, 1)
        if alone:
            self._alone.add(detection.colours, 1)

    def follow_on(self, later: "Track") -> None:
        """Takes the sightings of the same thing's later piece."""
        self.seen += later.seen
        for label, vote in later.votes.items():
            self.votes[label] += vote
        self._best = _better(self._best, later.best)
        self._all.add(later._all.total, later._all.count)
        self._alone.add(later._alone.total, later._alone.count)


def _better(best: Seen | None, seen: Seen) -> Seen:
    return seen if best is None or _clarity(seen) > _clarity(best) else best


def _clarity(seen: Seen) -> float:
    return seen.score * math.sqrt(area(seen.box))
