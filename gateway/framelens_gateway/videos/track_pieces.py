"""Joins detections, look by look, into pieces of tracks in which there is no doubt that they are of one thing.

A piece ends at every doubt: where its thing is out of sight, where two things or two detections fit nearly as well,
where one of two things beside each other goes out of sight (the detector has one box for both) and where it comes out
again. What belongs together across doubts is decided later, when more has been seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import lap
import numpy as np
from numpy.typing import NDArray

from framelens_gateway.geometry import coverage, growth, overlap, separation
from framelens_gateway.recognizer import Box
from framelens_gateway.videos.track import CLEAR_SCORE, Detection, Track
from framelens_gateway.videos.track_colours import unlikeness
from framelens_gateway.videos.track_motion import ahead, growth_misfit, misfit, motion_at_end, spread

# Detections below this are none.
FAINT_SCORE = 0.25
# What was missed for longer is found again by linking, which sees both sides of the gap.
_PAUSE_S = 0.25
# Two boxes with one label so much over each other are of one thing.
_TWICE_IOU, _TWICE_COVERAGE = 0.5, 0.85
# So are these, where a piece has taken one of them and none the other.
_LEFT_OVER_IOU, _LEFT_OVER_COVERAGE = 0.3, 0.6
# Detections with different labels this much over each other are of one thing that the detector is unsure of.
_SAME_THING_IOU = 0.6
# Nothing else is in a box that others are over by less.
_ALONE_IOU = 0.05
# Of size, from look to look, and more for each second that has passed.
_GROWTH, _GROWTH_PER_S = 0.3, 0.2
_MOST_DEVIATION, _MOST_COST = 6.0, 8.0
_MOST_UNLIKENESS = 3.0
# Of how a thing looks, beside where it is: from one sighting little can be told.
_LOOKS_WEIGHT = 0.5
# A choice is in doubt where another would cost less than this more.
_DOUBT = 1.5
# Things nearer than this, in diagonals, hide each other.
_BESIDE = 0.5
_NEVER = 1e3


@dataclass(frozen=True)
class _Look:
    """One frame: what is in it, and where what grows is expected in it."""

    at_s: float
    found: Sequence[Detection]
    growing: Sequence[Track]
    expected: Sequence[Box]
    costs: NDArray[np.float64]
    # Numbers of detections by numbers of what grows.
    taken: dict[int, int]


class Pieces:
    """The pieces that are growing at one moment."""

    def __init__(self) -> None:
        self.growing: list[Track] = []
        self._looked_s = 0.0

    def look(self, at_s: float, detections: Iterable[Detection]) -> list[Track]:
        """Takes one frame, later than all before it; the pieces that ended."""
        ended = [piece for piece in self.growing if self._looked_s - piece.last.at_s > _PAUSE_S]
        growing = [piece for piece in self.growing if self._looked_s - piece.last.at_s <= _PAUSE_S]
        look = _looked(at_s, _once(detections), growing)
        hiding = _hiding(look, self._looked_s)
        doubted = hiding | _doubted(look) | _parting(look)
        self.growing = [piece for number, piece in enumerate(growing) if number not in doubted]
        ended += [growing[number] for number in doubted]
        self._grow(look, doubted, hiding)
        self._looked_s = at_s
        return ended

    def finish(self) -> list[Track]:
        """The scene is over: all that was growing."""
        ended, self.growing = self.growing, []
        return ended

    def _grow(self, look: _Look, doubted: set[int], hiding: set[int]) -> None:
        for number, detection_number in look.taken.items():
            piece = look.growing[number]
            if number in doubted:
                piece = Track(is_shared=number in hiding)
                self.growing.append(piece)
            _see(piece, look, detection_number)
        for detection_number in _coming(look):
            piece = Track()
            self.growing.append(piece)
            _see(piece, look, detection_number)


def _see(piece: Track, look: _Look, number: int) -> None:
    piece.add(look.at_s, look.found[number], alone=_is_alone(look.found[number], look.found))


def _once(detections: Iterable[Detection]) -> list[Detection]:
    """Each thing once, by the clearest of its boxes."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda each: -each.score):
        if detection.score >= FAINT_SCORE and not any(
            _are_one(detection, other, _TWICE_IOU, _TWICE_COVERAGE) for other in kept
        ):
            kept.append(detection)
    return kept


def _are_one(detection: Detection, other: Detection, iou: float, covered: float) -> bool:
    return detection.label == other.label and (
        overlap(detection.box, other.box) > iou or coverage(detection.box, other.box) > covered
    )


def _is_alone(detection: Detection, found: Sequence[Detection]) -> bool:
    return detection.score >= CLEAR_SCORE and all(
        other is detection or other.label != detection.label or overlap(detection.box, other.box) < _ALONE_IOU
        for other in found
    )


def _looked(at_s: float, found: Sequence[Detection], growing: Sequence[Track]) -> _Look:
    motions = [motion_at_end(piece) for piece in growing]
    gaps = [at_s - piece.last.at_s for piece in growing]
    expected = [ahead(piece.last.box, motion, gap) for piece, motion, gap in zip(growing, motions, gaps, strict=True)]
    spreads = [spread(gap, motion.certainty) for motion, gap in zip(motions, gaps, strict=True)]
    costs = np.full((len(growing), len(found)), _NEVER)
    for row, piece in enumerate(growing):
        for column, detection in enumerate(found):
            cost = _cost(piece, detection, expected[row], spreads[row], gaps[row])
            if cost is not None:
                costs[row, column] = cost
    rows, columns = lap.lapjvx(costs, extend_cost=True, return_cost=False)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return _Look(at_s, found, growing, expected, costs, {a: b for a, b in pairs if costs[a, b] < _NEVER})


def _cost(piece: Track, detection: Detection, expected: Box, width: float, gap_s: float) -> float | None:
    """How badly a detection fits a piece; None where it is of another thing."""
    distance = separation(expected, detection.box)
    if distance > _MOST_DEVIATION * width or growth(detection.box, expected) > _GROWTH + _GROWTH_PER_S * gap_s:
        return None
    if detection.label != piece.label:
        iou = max(overlap(detection.box, expected), overlap(detection.box, piece.last.box))
        if iou < _SAME_THING_IOU:
            return None
    placed, sized = misfit(distance, width), growth_misfit(detection.box, expected)
    if placed is None or sized is None:
        return None
    looks = unlikeness(piece.colours, detection.colours, _MOST_UNLIKENESS)
    cost = placed + sized + _LOOKS_WEIGHT * looks + 1 - detection.score
    return cost if cost <= _MOST_COST else None


def _doubted(look: _Look) -> set[int]:
    """The pieces whose detection another piece, or which another detection, fits nearly as well."""
    doubted = set()
    for piece, detection in look.taken.items():
        limit = look.costs[piece, detection] + _DOUBT
        others = any(
            look.costs[piece, other] < limit
            for other in range(len(look.found))
            if other != detection and not _is_twin(look, other, detection)
        )
        rivals = any(look.costs[rival, detection] < limit for rival in range(len(look.growing)) if rival != piece)
        if others or rivals:
            doubted.add(piece)
    return doubted


def _is_twin(look: _Look, other: int, detection: int) -> bool:
    """Whether a detection that no piece took is only a second box of what this one is of."""
    return (
        other not in look.taken.values() and overlap(look.found[other].box, look.found[detection].box) > _LEFT_OVER_IOU
    )


def _coming(look: _Look) -> list[int]:
    """The detections that begin pieces: no piece took them, and they are no second box of what is there."""
    there, coming = set(look.taken.values()), []
    for number, detection in enumerate(look.found):
        if number not in there and not any(
            _are_one(detection, look.found[other], _LEFT_OVER_IOU, _LEFT_OVER_COVERAGE) for other in there
        ):
            coming.append(number)
            there.add(number)
    return coming


def _hiding(look: _Look, looked_s: float) -> set[int]:
    """The pieces beside which another has just gone out of sight."""
    gone = [
        number for number, piece in enumerate(look.growing) if number not in look.taken and piece.last.at_s >= looked_s
    ]
    return {
        piece
        for piece, detection in look.taken.items()
        for other in gone
        if look.found[detection].label == look.growing[other].label
        and separation(look.found[detection].box, look.expected[other]) < _BESIDE
    }


def _parting(look: _Look) -> set[int]:
    """The pieces beside which something comes into sight."""
    coming = _coming(look)
    return {
        piece
        for piece, detection in look.taken.items()
        for other in coming
        if look.found[detection].label == look.found[other].label
        and separation(look.found[detection].box, look.found[other].box) < _BESIDE
    }
