"""Finds which pieces of tracks are of one thing, looking at all of them at once.

Every way of joining pieces into chains has a cost, a negative log likelihood: of each step from piece to piece, of how
unlike they look, and of things that appear or vanish in the middle of the frame. From the best pairwise assignment,
chains are cut and joined otherwise as long as that costs less. Since a chain is looked at as a whole, a piece that
shows two things at once, between two of one, does not decide who is who.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import lap
import numpy as np

from framelens_gateway.geometry import between, separation
from framelens_gateway.videos.track import Seen, Track
from framelens_gateway.videos.track_colours import NEITHER, unlikeness_of
from framelens_gateway.videos.track_motion import gap_misfit, misfit, motion_at_end, motion_at_start

# What is out of sight for longer has left.
LOST_S = 4.0
# Of appearing or vanishing at the edge of the frame, or where the scene begins or ends, and in the middle of it.
_AT_EDGE, _IN_MIDDLE = 1.0, 8.0
_EDGE, _SCENE_BEGINS_S = 0.04, 0.5
# What was seen more often than this is rather a thing than a slip of the detector.
_SLIP_SIGHTINGS = 3.0
# A box that two things may share lies this far beside either of them, in diagonals; what is shared for longer is one's.
_SHARED_SPREAD, _SHARED_S = 0.2, 1.5
_MOST_UNLIKENESS = 10.0
# More sightings of one piece look alike, and so tell no more; nor do those with something else in the box.
_TELLING_SIGHTINGS, _CROWDED_WEIGHT = 5, 0.3
# Steps of at most so many pieces to the side are tried when parts of two chains are exchanged.
_MOST_EXCHANGED = 3
_LEAST_GAIN = 1e-6
# Steps that cost more are not tried.
_MOST_STEP = 10.0

Chain = tuple[int, ...]
_Change = tuple[Chain, ...]


def linked(pieces: Sequence[Track], began_s: float, until_s: float) -> list[list[Track]]:
    """All the pieces of a scene, each list of one thing in the order of time.

    What was last seen after `until_s` may come again, or is there to the end of the scene.
    """
    chains = _Linking(sorted(pieces, key=lambda piece: piece.first.at_s), began_s, until_s)
    return chains.best()


class _Linking:
    """One search; pieces are known by their number."""

    def __init__(self, pieces: Sequence[Track], began_s: float, until_s: float) -> None:
        self._pieces = pieces
        self._sightings = [len(piece.seen) for piece in pieces]
        self._starts_s = [piece.first.at_s for piece in pieces]
        self._ends_s = [piece.last.at_s for piece in pieces]
        self._starts = [(piece.first.box, motion_at_start(piece)) for piece in pieces]
        self._ends = [(piece.last.box, motion_at_end(piece)) for piece in pieces]
        self._appearing = [_seldom(piece.first, piece.first.at_s < began_s + _SCENE_BEGINS_S) for piece in pieces]
        self._vanishing = [_seldom(piece.last, piece.last.at_s > until_s) for piece in pieces]
        self._shared = [piece.is_shared and piece.last.at_s - piece.first.at_s < _SHARED_S for piece in pieces]
        self._clarity = [1.0 if piece.shows_alone else _CROWDED_WEIGHT for piece in pieces]
        self._weights = [
            clear * min(_TELLING_SIGHTINGS, count) for clear, count in zip(self._clarity, self._sightings, strict=True)
        ]
        self._shared_colours = _shared_colours(pieces)
        self._steps = self._possible_steps()
        self._costs: dict[Chain, float] = {(): 0.0}
        self._looks: dict[Chain, float] = {}

    def best(self) -> list[list[Track]]:
        chains = self._improved(self._assigned())
        return [[self._pieces[number] for number in chain] for chain in chains]

    def _assigned(self) -> list[Chain]:
        """The best pairs, each looked at alone."""
        costs = np.zeros((len(self._pieces), len(self._pieces)))
        for one, other in self._steps:
            costs[one, other] = min(0.0, self._cost((one, other)) - self._cost((one,)) - self._cost((other,)))
        rows, columns = lap.lapjvx(costs, return_cost=False)
        after = {a: b for a, b in zip(rows.tolist(), columns.tolist(), strict=True) if costs[a, b] < 0}
        chains: list[Chain] = []
        for number in range(len(self._pieces)):
            if number not in after.values():
                chains += self._possible(number, after)
        return chains

    def _possible(self, number: int, after: dict[int, int]) -> Iterator[Chain]:
        """The chain from one piece on, cut where it cannot be."""
        chain: Chain = (number,)
        while chain[-1] in after:
            following = after[chain[-1]]
            if math.isinf(self._cost((*chain, following))):
                yield chain
                chain = ()
            chain = (*chain, following)
        yield chain

    def _improved(self, chains: Sequence[Chain]) -> list[Chain]:
        of_piece = {number: chain for chain in chains for number in chain}
        tried: set[tuple[int, int, Chain, Chain]] = set()
        improving = True
        while improving:
            improving = False
            for one, other in self._steps:
                change = one, other, of_piece[one], of_piece[other]
                if change in tried:
                    continue
                tried.add(change)
                old = {of_piece[one], of_piece[other]}
                new = self._cheapest(*change)
                if self._sum(new) < self._sum(old) - _LEAST_GAIN:
                    of_piece.update((number, chain) for chain in new for number in chain)
                    improving = True
        return sorted(set(of_piece.values()))

    def _cheapest(self, one: int, other: int, chain: Chain, other_chain: Chain) -> _Change:
        changes = _cuts(one, other, chain) if chain == other_chain else _exchanges(one, other, chain, other_chain)
        return min(changes, key=self._sum)

    def _sum(self, chains: "_Change | set[Chain]") -> float:
        return sum(map(self._cost, chains))

    def _cost(self, chain: Chain) -> float:
        cost = self._costs.get(chain)
        if cost is None:
            cost = self._way_cost(chain)
            if cost < math.inf:
                cost += self._ends_cost(chain) + self._looks_cost(chain)
            self._costs[chain] = cost
        return cost

    def _ends_cost(self, chain: Chain) -> float:
        sightings = sum(self._sightings[number] for number in chain)
        unheard_of = self._appearing[chain[0]] + self._vanishing[chain[-1]]
        return unheard_of * -math.expm1(-sightings / _SLIP_SIGHTINGS)

    def _way_cost(self, chain: Chain) -> float:
        """Of the steps between pieces that are one thing's, and of how far what is between them is from that way."""
        if any(self._ends_s[number] >= self._starts_s[following] for number, following in pairwise(chain)):
            return math.inf
        own = [place for place, number in enumerate(chain) if not self._shared[number]] or [len(chain) - 1]
        cost = 0.0
        for place, following in pairwise(own):
            cost += self._steps.get((chain[place], chain[following]), math.inf)
            cost += sum(self._aside(chain[place], number, chain[following]) for number in chain[place + 1 : following])
        tails = *pairwise(chain[: own[0] + 1]), *pairwise(chain[own[-1] :])
        return cost + sum(self._steps.get(step, math.inf) for step in tails)

    def _looks_cost(self, chain: Chain) -> float:
        """Of each piece looking unlike those before it."""
        if len(chain) == 1:
            return 0.0
        known = self._looks.get(chain)
        if known is None:
            latest = self._unlike(chain[-1], chain[:-1])
            known = self._looks[chain] = self._looks_cost(chain[:-1]) + latest
        return known

    def _unlike(self, number: int, before: Chain) -> float:
        weights, shared = self._weights, self._shared_colours[number]
        weight = sum([weights[each] for each in before])
        colours = sum([weights[each] * shared[each] for each in before]) / weight
        telling = min(self._clarity[number], weight / _TELLING_SIGHTINGS, 1.0)
        return telling * unlikeness_of(colours, _MOST_UNLIKENESS)

    def _possible_steps(self) -> dict[tuple[int, int], float]:
        """What it costs that one piece is the next one's of the same thing."""
        steps = {}
        for number, end_s in enumerate(self._ends_s):
            for later, start_s in enumerate(self._starts_s):
                if 0 < start_s - end_s <= LOST_S and (cost := self._step_cost(number, later)) <= _MOST_STEP:
                    steps[number, later] = cost
        return steps

    def _step_cost(self, number: int, later: int) -> float:
        if self._pieces[number].label != self._pieces[later].label:
            return math.inf
        gap_s = self._starts_s[later] - self._ends_s[number]
        least_spread = _SHARED_SPREAD if self._shared[number] or self._shared[later] else 0.0
        cost = gap_misfit(self._ends[number], self._starts[later], gap_s, least_spread)
        return math.inf if cost is None else cost

    def _aside(self, number: int, shared: int, following: int) -> float:
        """Of a box that two things may share being on the way from one piece to another."""
        last, first = self._pieces[number].last, self._pieces[following].first
        seen = self._pieces[shared].seen
        middle = seen[len(seen) // 2]
        on_way = between(last.box, first.box, (middle.at_s - last.at_s) / (first.at_s - last.at_s))
        cost = misfit(separation(on_way, middle.box), _SHARED_SPREAD)
        return math.inf if cost is None else cost


def _shared_colours(pieces: Sequence[Track]) -> list[list[float]]:
    """Of each piece with each; what tells nothing where those of either are unknown."""
    shared = np.full((len(pieces), len(pieces)), NEITHER)
    known = {number: colours for number, piece in enumerate(pieces) if (colours := piece.colours) is not None}
    if known:
        means = np.stack(list(known.values()))
        # Not as a matrix product, whose threads would take cores from recognition.
        shared[np.ix_(list(known), list(known))] = np.einsum("ik,jk->ij", means, means)
    rows: list[list[float]] = shared.tolist()
    return rows


def _seldom(seen: Seen, is_at_bounds: bool) -> float:
    """What it costs to appear or vanish there; `is_at_bounds` where the scene does."""
    box = seen.box
    is_at_edge = min(box.x_min, box.y_min, 1 - box.x_max, 1 - box.y_max) < _EDGE
    return _AT_EDGE if is_at_edge or is_at_bounds else _IN_MIDDLE


def _cuts(one: int, other: int, chain: Chain) -> Iterator[_Change]:
    """The chain of both as it is, cut between them, and without either."""
    yield (chain,)
    place, other_place = chain.index(one), chain.index(other)
    if other_place == place + 1:
        yield chain[:other_place], chain[other_place:]
    for number in (one, other):
        yield tuple(each for each in chain if each != number), (number,)


def _exchanges(one: int, other: int, chain: Chain, other_chain: Chain) -> Iterator[_Change]:
    """The two chains as they are, and so that the one piece comes right before the other."""
    yield chain, other_chain
    here, there = chain.index(one) + 1, other_chain.index(other)
    head, tail, other_head, other_tail = chain[:here], chain[here:], other_chain[:there], other_chain[there:]
    yield head + other_tail, other_head + tail
    yield head + other_tail, other_head, tail
    yield (*head, other, *tail), other_head + other_tail[1:]
    yield (*other_head, one, *other_tail), head[:-1] + tail
    for away in range(1, min(len(other_tail), _MOST_EXCHANGED + 1)):
        for back in range(1, min(len(tail), _MOST_EXCHANGED) + 1):
            yield head + other_tail[:away] + tail[back:], other_head + tail[:back] + other_tail[away:]
