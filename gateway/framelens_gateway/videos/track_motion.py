"""Where a track is on its way to, and how likely a step from one box to another is.

Misfits are negative log likelihoods up to a constant: they are added, and compared. The spreads were measured on
pedestrians (their boxes jitter, and they turn); distances are in diagonals of the box, so they hold at any size.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from framelens_gateway.geometry import growth, moved, separation
from framelens_gateway.recognizer import Box
from framelens_gateway.videos.track import Seen, Track

# Velocity is that of the sightings next to the gap.
_VELOCITY_S, _VELOCITY_SIGHTINGS = 1.2, 8
# Boxes jitter by 1/10 of what things move in a second: the velocity of few sightings is drawn to zero.
_VELOCITY_DAMPING = 0.01
_HALF_CERTAIN = 0.03
# Of where a thing is found from where it was expected after a gap of so many seconds: constant, linear, squared.
_SPREAD = (0.03, 0.1, 0.05)
_UNKNOWN_VELOCITY_SPREAD = 0.25
# A spread this wide costs nothing; gaps are shorter or longer than that.
_USUAL_SPREAD = 0.06
_GROWTH_SPREAD = 0.25
# Beyond this many spreads, and this growth, it is another thing.
_FARTHEST = 7.0
_MOST_GROWTH = math.log(2.2)


class Motion(NamedTuple):
    """Velocity in frames per second, and how far it can be relied on (0 to 1)."""

    x: float
    y: float
    certainty: float


def motion_at_start(track: Track) -> Motion:
    """How it began to move."""
    return _motion([seen for seen in track.seen[:_VELOCITY_SIGHTINGS] if seen.at_s - track.first.at_s <= _VELOCITY_S])


def motion_at_end(track: Track) -> Motion:
    """How it moved at last."""
    return _motion([seen for seen in track.seen[-_VELOCITY_SIGHTINGS:] if track.last.at_s - seen.at_s <= _VELOCITY_S])


def ahead(box: Box, motion: Motion, seconds: float) -> Box:
    """Where it will be, or, for negative seconds, was."""
    return moved(box, motion.x * seconds, motion.y * seconds)


def spread(gap_s: float, certainty: float) -> float:
    """How far from where it is expected a thing is found after a gap, in diagonals of its box."""
    constant, linear, squared = _SPREAD
    return constant + linear * gap_s + squared * gap_s**2 + _UNKNOWN_VELOCITY_SPREAD * gap_s * (1 - certainty)


def misfit(distance: float, width: float) -> float | None:
    """Of a distance, by Student's t with 4 degrees of freedom: turns are rare but happen; None for impossible."""
    deviation = distance / width
    return 3 * math.log1p(deviation**2 / 4) if deviation <= _FARTHEST else None


def growth_misfit(box: Box, other: Box) -> float | None:
    """Of the one becoming the other in size; None for impossible."""
    grown = growth(box, other)
    return 1.5 * math.log1p((grown / _GROWTH_SPREAD) ** 2 / 2) if grown <= _MOST_GROWTH else None


def gap_misfit(end: tuple[Box, Motion], start: tuple[Box, Motion], gap_s: float, least_spread: float) -> float | None:
    """Of what ended so having begun anew so, looked at from both sides; None for impossible."""
    (box, motion), (later_box, later_motion) = end, start
    sized = growth_misfit(box, later_box)
    # Even a motion of which nothing is known says where the thing was.
    weight, later_weight = motion.certainty + 0.05, later_motion.certainty + 0.05
    distance = (
        weight * separation(ahead(box, motion, gap_s), later_box)
        + later_weight * separation(ahead(later_box, later_motion, -gap_s), box)
    ) / (weight + later_weight)
    width = max(spread(gap_s, min(1.0, max(weight, later_weight))), least_spread)
    placed = misfit(distance, width)
    if sized is None or placed is None:
        return None
    return placed + sized + 2 * math.log(width / _USUAL_SPREAD)


def _motion(sightings: Sequence[Seen]) -> Motion:
    count = len(sightings)
    times = [seen.at_s for seen in sightings]
    middle_s = sum(times) / count
    leans = [at_s - middle_s for at_s in times]
    span = sum(lean**2 for lean in leans)
    x = sum(lean * (seen.box.x_min + seen.box.x_max) / 2 for lean, seen in zip(leans, sightings, strict=True))
    y = sum(lean * (seen.box.y_min + seen.box.y_max) / 2 for lean, seen in zip(leans, sightings, strict=True))
    return Motion(x / (span + _VELOCITY_DAMPING), y / (span + _VELOCITY_DAMPING), span / (span + _HALF_CERTAIN))
