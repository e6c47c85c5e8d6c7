"""Joins the detections of one thing across frames into a track.

Each open track is expected where its motion takes it. Confident detections are given to the tracks they fit best, then
faint ones to those that are left: what turns away or is half hidden is still found, only with less confidence
(ByteTrack, Zhang et al. 2022). What is left of the confident ones begins new tracks.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from framelens_gateway.recognizer import Box
from framelens_gateway.videos.geometry import area, center, moved, overlap, size

# Detections below this are none.
FAINT_SCORE = 0.25
# A track begins with a detection of this confidence.
CLEAR_SCORE = 0.5
# What is out of sight for longer has left.
_LOST_S = 2.5
# Boxes of one thing lie this near each other, in units of their mean diagonal: from look to look, and more for each
# second that has passed, since motion is only guessed.
_NEAR, _NEARER_PER_S = 0.45, 0.25
# One thing does not grow or shrink by more than this between two looks.
_MOST_GROWTH = 2.2
# Detections with different labels this much over each other are of one thing that the detector is unsure of.
_SAME_THING_IOU = 0.6
# Of the newest velocity in the smoothed one.
_NEW_VELOCITY = 0.5
# Seen once, and only so clearly, is enough.
_CLEAR_AT_ONCE = 0.8


class Detection(NamedTuple):
    label: str
    score: float
    box: Box


class Seen(NamedTuple):
    """One sighting; seconds of the video."""

    at_s: float
    box: Box
    score: float


@dataclass
class Track:
    """One thing, followed while it is in view."""

    seen: list[Seen] = field(default_factory=list)
    # Confidence by label: the detector may call one thing by several names.
    votes: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    velocity: tuple[float, float] = (0.0, 0.0)

    @property
    def label(self) -> str:
        return max(self.votes, key=lambda label: self.votes[label])

    @property
    def best(self) -> Seen:
        """Where it shows best: confident and large."""
        return max(self.seen, key=lambda seen: seen.score * math.sqrt(area(seen.box)))

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    @property
    def is_sound(self) -> bool:
        """Whether it is more than a slip of the detector."""
        clear = max(seen.score for seen in self.seen)
        return clear >= CLEAR_SCORE and (len(self.seen) > 1 or clear >= _CLEAR_AT_ONCE)

    def expected(self, at_s: float) -> Box:
        ahead_s = at_s - self.last.at_s
        return moved(self.last.box, self.velocity[0] * ahead_s, self.velocity[1] * ahead_s)

    def add(self, at_s: float, detection: Detection) -> None:
        if self.seen:
            self.velocity = self._velocity(at_s, detection.box)
        self.seen.append(Seen(at_s, detection.box, detection.score))
        self.votes[detection.label] += detection.score

    def _velocity(self, at_s: float, box: Box) -> tuple[float, float]:
        (x, y), (to_x, to_y) = center(self.last.box), center(box)
        passed_s = at_s - self.last.at_s
        new = (to_x - x) / passed_s, (to_y - y) / passed_s
        if len(self.seen) == 1:
            return new
        old = self.velocity
        return tuple(_NEW_VELOCITY * n + (1 - _NEW_VELOCITY) * o for n, o in zip(new, old, strict=True))  # type: ignore[return-value]


class Tracker:
    """Follows what is in view of one video; keeps only what is still in view."""

    def __init__(self) -> None:
        self._open: list[Track] = []

    @property
    def open(self) -> Sequence[Track]:
        """What is being followed, whether or not it will turn out to be sound."""
        return self._open

    def look(self, at_s: float, detections: Iterable[Detection], *, cut: bool = False) -> list[Track]:
        """Takes what one frame shows, later than all before it; the tracks that are over.

        After a `cut` nothing is where it was.
        """
        over = self.finish() if cut else self._leave(at_s)
        found = sorted((each for each in detections if each.score >= FAINT_SCORE), key=lambda each: -each.score)
        clear = [each for each in found if each.score >= CLEAR_SCORE]
        faint = [each for each in found if each.score < CLEAR_SCORE]
        waiting = list(self._open)
        new = _give(at_s, clear, waiting)
        _give(at_s, faint, waiting)
        for detection in new:
            track = Track()
            track.add(at_s, detection)
            self._open.append(track)
        return over

    def finish(self) -> list[Track]:
        """The video, or the scene, is over."""
        over, self._open = self._open, []
        return over

    def _leave(self, at_s: float) -> list[Track]:
        over = [track for track in self._open if at_s - track.last.at_s > _LOST_S]
        self._open = [track for track in self._open if at_s - track.last.at_s <= _LOST_S]
        return over


def _give(at_s: float, detections: Sequence[Detection], waiting: list[Track]) -> list[Detection]:
    """Gives detections to the tracks that wait for one, the best fit first; what no track has taken."""
    fits = [
        (distance, detection_number, track)
        for detection_number, detection in enumerate(detections)
        for track in waiting
        if (distance := _distance(at_s, detection, track)) is not None
    ]
    taken: set[int] = set()
    for _, number, track in sorted(fits, key=lambda fit: fit[0]):
        if number in taken or all(track is not each for each in waiting):
            continue
        taken.add(number)
        track.add(at_s, detections[number])
        waiting[:] = [each for each in waiting if each is not track]
    return [detection for number, detection in enumerate(detections) if number not in taken]


def _distance(at_s: float, detection: Detection, track: Track) -> float | None:
    """How badly a detection fits a track, 0 for just as expected; None where it is of another thing."""
    expected = track.expected(at_s)
    iou = max(overlap(detection.box, expected), overlap(detection.box, track.last.box))
    if detection.label != track.label and iou < _SAME_THING_IOU:
        return None
    (width, height), (was_wide, was_high) = size(detection.box), size(expected)
    growth = math.sqrt(width * height / (was_wide * was_high))
    if not 1 / _MOST_GROWTH < growth < _MOST_GROWTH:
        return None
    (x, y), (to_x, to_y) = center(expected), center(detection.box)
    diagonal = (math.hypot(width, height) + math.hypot(was_wide, was_high)) / 2
    distance = math.hypot(to_x - x, to_y - y) / diagonal
    if distance > _NEAR + _NEARER_PER_S * (at_s - track.last.at_s):
        return None
    return distance + abs(math.log(growth)) * 0.5 + (1 - iou) * 0.5
