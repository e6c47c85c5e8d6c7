"""Joins the detections of one thing across frames into a track.

Detections are joined into pieces where there is no doubt, and pieces into tracks once what comes after a doubt has
been seen, a few seconds later. What is over and has been decided on is folded or given out, so that no more is kept
than what is, or a few seconds ago was, in view.
"""

from collections.abc import Iterable, Sequence

from framelens_gateway.videos.track import CLEAR_SCORE, Detection, Seen, Track
from framelens_gateway.videos.track_linking import LOST_S, linked
from framelens_gateway.videos.track_pieces import FAINT_SCORE, Pieces

__all__ = ["CLEAR_SCORE", "FAINT_SCORE", "Detection", "Seen", "Track", "Tracker"]

# A doubt is decided when the last that could follow it has been seen for so long.
_DECIDED_S = LOST_S + 1.0
_LINKED_EVERY_S = 1.0


class Tracker:
    """Follows what is in view of one video."""

    def __init__(self) -> None:
        self._pieces = Pieces()
        # That have ended, and may yet be followed by others.
        self._ended: list[Track] = []
        self._began_s: float | None = None
        self._linked_s = 0.0

    @property
    def open(self) -> Sequence[Track]:
        """What is being followed, whether or not it will turn out to be sound; one thing may be in several pieces.

        The best sighting of a track that will be over is the best of one of these, from when it was seen.
        """
        return [*self._ended, *self._pieces.growing]

    def look(self, at_s: float, detections: Iterable[Detection], *, cut: bool = False) -> list[Track]:
        """Takes what one frame shows, later than all before it; the tracks that are over.

        After a `cut` nothing is where it was.
        """
        over = self.finish() if cut else []
        if self._began_s is None:
            self._began_s = self._linked_s = at_s
        self._ended += self._pieces.look(at_s, detections)
        if at_s - self._linked_s >= _LINKED_EVERY_S:
            self._linked_s = at_s
            over += self._decide(self._began_s, at_s)
        return over

    def finish(self) -> list[Track]:
        """The video, or the scene, is over."""
        pieces = [*self._ended, *self._pieces.finish()]
        chains = linked(pieces, self._began_s or 0.0, max(piece.last.at_s for piece in pieces) - 0.5) if pieces else []
        self._ended, self._began_s = [], None
        return [_joined(chain) for chain in chains]

    def _decide(self, began_s: float, at_s: float) -> list[Track]:
        if all(at_s - piece.last.at_s <= _DECIDED_S for piece in self._ended):
            return []
        over: list[Track] = []
        for chain in linked(self.open, began_s, at_s - LOST_S):
            if at_s - chain[-1].last.at_s > _DECIDED_S:
                self._ended = [piece for piece in self._ended if piece not in chain]
                over.append(_joined(chain))
            else:
                self._fold(chain, at_s)
        return over

    def _fold(self, chain: Sequence[Track], at_s: float) -> None:
        """Makes one piece of what is decided on, up to a piece that is only one thing's."""
        decided = [
            place for place, piece in enumerate(chain) if at_s - piece.last.at_s > _DECIDED_S and not piece.is_shared
        ]
        if decided and decided[-1]:
            folded = chain[1 : decided[-1] + 1]
            _joined(chain[: decided[-1] + 1])
            self._ended = [piece for piece in self._ended if piece not in folded]


def _joined(chain: Sequence[Track]) -> Track:
    """All of a chain in its first piece."""
    track = chain[0]
    for piece in chain[1:]:
        track.follow_on(piece)
    track.is_shared = False
    return track
