"""What stands still in a scene, so that the colours of a sign are not taken for those of who is behind it.

Where the camera moves, everything does, and nothing is told apart; so it is with what has not moved yet.
"""

import numpy as np
from numpy.typing import NDArray

from framelens_gateway.videos.track_colours import Moving, SmallFrame

# Levels by which it is learned, from look to look: what passes in a few looks leaves little of itself.
_LEARNED_LEVELS = 2.0
# Of the difference in lightness and in each chroma; what differs by less than this is still, by twice as much moving.
_WEIGHTS = np.array([0.7, 1.5, 1.5], np.float32)
_STILL_LEVELS = 10.0


class Background:
    """Of one scene after the other."""

    def __init__(self) -> None:
        self._still: NDArray[np.float32] | None = None

    def moving(self, frame: SmallFrame, *, cut: bool) -> Moving:
        """What is in front of it; learns from the frame. After a `cut` nothing is known."""
        seen = frame.astype(np.float32)
        if self._still is None or cut or self._still.shape != seen.shape:
            self._still = seen
        apart = seen - self._still
        self._still = self._still + np.clip(apart, -_LEARNED_LEVELS, _LEARNED_LEVELS)
        levels = np.einsum("hwc,c->hw", np.abs(apart), _WEIGHTS)
        return np.asarray(np.clip(levels / _STILL_LEVELS - 1, 0, 1), np.float32)
