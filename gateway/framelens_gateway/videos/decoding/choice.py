"""Chooses the frames that are looked at: where something has changed, and after a longest gap where nothing has."""

from typing import Literal

import numpy as np
import numpy.typing as npt

# Frames are compared in grey, at this width and height.
THUMBNAIL = (64, 36)
# Grey levels, of 255: what has changed by more is more than noise of the camera or the codec.
_CHANGED_LEVELS = 10
# So much of the picture has changed where something moves: less than a person in the distance.
_MOVING_SHARE = 0.004
# Another scene: so much of the picture has changed, by so much on average, from one frame to the next.
_CUT_SHARE, _CUT_LEVELS = 0.6, 30.0
# Files round their times.
_ROUNDING_S = 0.005

Thumbnail = npt.NDArray[np.uint8]
Choice = Literal["", "look", "cut"]


class FrameChoice:
    """Sees every frame in order; `min_gap_s` between two looks while things move, `max_gap_s` while nothing does."""

    def __init__(self, min_gap_s: float, max_gap_s: float) -> None:
        self._min_gap_s, self._max_gap_s = min_gap_s, max_gap_s
        self._before: Thumbnail | None = None
        self._looked: Thumbnail | None = None
        self._looked_at_s = 0.0

    def of(self, at_s: float, thumbnail: Thumbnail) -> Choice:
        """Whether to look at a frame: `cut` where a new scene begins, empty where not."""
        choice = self._of(at_s, thumbnail)
        self._before = thumbnail
        if choice:
            self._looked, self._looked_at_s = thumbnail, at_s
        return choice

    def _of(self, at_s: float, thumbnail: Thumbnail) -> Choice:
        if self._before is None or self._looked is None:
            return "look"
        if _is_cut(self._before, thumbnail):
            return "cut"
        gap_s = at_s - self._looked_at_s + _ROUNDING_S
        if gap_s >= self._max_gap_s or (gap_s >= self._min_gap_s and _changed(self._looked, thumbnail) > _MOVING_SHARE):
            return "look"
        return ""


def _difference(thumbnail: Thumbnail, other: Thumbnail) -> npt.NDArray[np.int16]:
    return np.asarray(np.abs(thumbnail.astype(np.int16) - other), np.int16)


def _changed(thumbnail: Thumbnail, other: Thumbnail) -> float:
    """The share of the picture that has changed."""
    return float(np.mean(_difference(thumbnail, other) > _CHANGED_LEVELS))


def _is_cut(before: Thumbnail, thumbnail: Thumbnail) -> bool:
    difference = _difference(before, thumbnail)
    return bool(np.mean(difference) > _CUT_LEVELS and np.mean(difference > _CHANGED_LEVELS) > _CUT_SHARE)
