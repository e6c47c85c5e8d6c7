"""Which tracks cover each hand-labelled pedestrian of the sample video."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import lap
import numpy as np

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.geometry import between, center

LABELLED = Path(__file__).parents[1] / "data" / "pedestrians.json"

_UNTIL_S, _EVERY_S = 23.0, 0.5
# A track covers who is this near its centre; labels are off by up to 0.01.
_NEAR_X, _NEAR_Y = 0.03, 0.06
# Between sightings that are farther apart it is not known where a track is.
_KNOWN_S = 2.6
# A track that covers someone for less than this passes by: in so few of the moments, and in this share of them.
_LEAST_MOMENTS, _LEAST_SHARE = 3, 0.34

_Place = tuple[float, float]


def tracks_of_each_pedestrian(tracks: Sequence[pb.Track]) -> dict[str, list[int]]:
    """By the pedestrian's name, the numbers of the tracks that cover more than a moment of the way; one is right.

    Tracks of persons are numbered in the order in which they begin.
    """
    persons = sorted((track for track in tracks if track.label == "person"), key=lambda track: track.sightings[0].at_s)
    ways = _labelled()
    covering: dict[str, Counter[int]] = defaultdict(Counter)
    for step in range(int(_UNTIL_S / _EVERY_S) + 1):
        at_s = step * _EVERY_S
        labelled = {name: place for name, way in ways.items() if (place := _on_way(way, at_s)) is not None}
        followed = {n: place for n, track in enumerate(persons) if (place := _of_track(track, at_s)) is not None}
        for name, number in _covered(labelled, followed):
            covering[name][number] += 1
    return {name: _lasting(covering[name]) for name in ways}


def _lasting(moments: "Counter[int]") -> list[int]:
    least_share = _LEAST_SHARE * moments.total()
    return sorted(number for number, count in moments.items() if count >= _LEAST_MOMENTS or count > least_share)


def _covered(labelled: dict[str, _Place], followed: dict[int, _Place]) -> list[tuple[str, int]]:
    if not labelled or not followed:
        return []
    names, numbers = list(labelled), list(followed)
    distances = np.array([[_distance(labelled[name], followed[number]) for number in numbers] for name in names])
    rows, columns = lap.lapjvx(np.minimum(distances, 2), extend_cost=True, return_cost=False)
    return [
        (names[row], numbers[column]) for row, column in zip(rows, columns, strict=True) if distances[row, column] <= 1
    ]


def _distance(place: _Place, other: _Place) -> float:
    return max(abs(place[0] - other[0]) / _NEAR_X, abs(place[1] - other[1]) / _NEAR_Y)


def _labelled() -> dict[str, list[tuple[float, float, float]]]:
    pedestrians = json.loads(LABELLED.read_text(encoding="utf-8"))["pedestrians"]
    return {name: [(at_s, x, y) for at_s, x, y in way] for name, way in pedestrians.items()}


def _on_way(way: Sequence[tuple[float, float, float]], at_s: float) -> _Place | None:
    for (from_s, x, y), (to_s, to_x, to_y) in pairwise(way):
        if from_s <= at_s <= to_s:
            share = (at_s - from_s) / (to_s - from_s)
            return x + (to_x - x) * share, y + (to_y - y) * share
    return None


def _of_track(track: pb.Track, at_s: float) -> _Place | None:
    before = [seen for seen in track.sightings if seen.at_s <= at_s]
    after = [seen for seen in track.sightings if seen.at_s >= at_s]
    if not before or not after or after[0].at_s - before[-1].at_s > _KNOWN_S:
        return None
    gap_s = after[0].at_s - before[-1].at_s
    return center(between(before[-1].box, after[0].box, (at_s - before[-1].at_s) / gap_s if gap_s else 0.0))
