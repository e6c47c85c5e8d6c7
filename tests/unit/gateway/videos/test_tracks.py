from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from framelens_gateway.recognizer import Box
from framelens_gateway.videos.track_colours import Colours, unlikeness_of
from framelens_gateway.videos.tracks import Detection, Track, Tracker

_RANDOM = np.random.default_rng(7)
_COLOURS = {"a": np.repeat([1.0, 0.02], 32), "b": np.repeat([0.02, 1.0], 32)}


def _box(x: float, y: float = 0.5, width: float = 0.05, height: float = 0.15) -> Box:
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _dress(name: str) -> Colours:
    shares = _COLOURS[name] * _RANDOM.uniform(size=64) ** 2
    return np.sqrt(shares / shares.sum()).astype(np.float32)


def _person(x: float, y: float = 0.5, score: float = 0.9, label: str = "person", dress: str = "") -> Detection:
    return Detection(label, score, _box(x, y), _dress(dress) if dress else None)


def _followed(looks: Iterable[tuple[float, Sequence[Detection]]]) -> list[Track]:
    tracker = Tracker()
    over = [track for at_s, detections in looks for track in tracker.look(at_s, detections)]
    over += tracker.finish()
    assert not tracker.open
    return sorted((track for track in over if track.is_sound), key=lambda track: track.first.at_s)


def _every(step_s: float, until_s: float) -> list[float]:
    return [number * step_s for number in range(round(until_s / step_s) + 1)]


def _centers(track: Track) -> list[float]:
    return [(seen.box.x_min + seen.box.x_max) / 2 for seen in track.seen]


def test_what_walks_is_one_track_with_all_its_sightings() -> None:
    times = _every(0.3, 9)
    (track,) = _followed((at_s, [_person(0.1 + 0.08 * at_s)]) for at_s in times)
    assert [seen.at_s for seen in track.seen] == times
    assert track.label == "person"


@pytest.mark.parametrize(("one", "other"), [("", ""), ("a", "b")], ids=["by motion alone", "with colours"])
def test_two_that_cross_keep_their_ways(one: str, other: str) -> None:
    tracks = _followed(
        (at_s, [_person(0.2 + 0.06 * at_s, 0.5, dress=one), _person(0.8 - 0.06 * at_s, 0.52, dress=other)])
        for at_s in _every(0.2, 10)
    )
    assert len(tracks) == 2
    for track in tracks:
        centers = _centers(track)
        assert centers in (sorted(centers), sorted(centers, reverse=True))


def test_two_that_stop_behind_each_other_are_told_apart_by_their_colours() -> None:
    def looks(at_s: float) -> list[Detection]:
        # They meet in the middle, one hides the other, and both turn back.
        away = 0.05 * abs(at_s - 5)
        if away < 0.03:
            return [_person(0.5, dress="b")]
        return [_person(0.5 - away, dress="a"), _person(0.5 + away, dress="b")]

    tracks = _followed((at_s, looks(at_s)) for at_s in _every(0.2, 10))
    assert len(tracks) == 2
    assert sorted(round(_centers(track)[0] - _centers(track)[-1], 2) for track in tracks) == [0, 0]


@pytest.mark.parametrize("hidden_s", [1.0, 2.5])
def test_what_comes_out_from_behind_an_obstacle_is_the_same(hidden_s: float) -> None:
    (track,) = _followed(
        (at_s, [] if 4 < at_s < 4 + hidden_s else [_person(0.1 + 0.06 * at_s)]) for at_s in _every(0.25, 12)
    )
    assert not [seen for seen in track.seen if 4 < seen.at_s < 4 + hidden_s]
    assert track.last.at_s == 12


def test_what_is_gone_for_long_is_another() -> None:
    tracks = _followed((at_s, [] if 4 < at_s < 10 else [_person(0.4)]) for at_s in _every(0.25, 14))
    assert [track.first.at_s for track in tracks] == [0, 10]


def test_irregular_gaps_between_looks() -> None:
    times = [0.0, 0.1, 0.5, 0.6, 1.6, 1.8, 2.2, 3.4, 3.5, 4.0, 5.5, 5.7, 6.0]
    (track,) = _followed((at_s, [_person(0.1 + 0.1 * at_s)]) for at_s in times)
    assert len(track.seen) == len(times)


def test_a_label_that_flickers_is_outvoted() -> None:
    tracks = _followed(
        (at_s, [_person(0.3 + 0.03 * at_s, label="truck" if number % 5 == 2 else "car")])
        for number, at_s in enumerate(_every(0.2, 5))
    )
    assert [track.label for track in tracks] == ["car"]


def test_a_slip_of_one_frame_is_not_sound() -> None:
    tracks = _followed(
        (at_s, [_person(0.2), *([_person(0.7, score=0.6)] if at_s == 2 else [])]) for at_s in _every(0.5, 5)
    )
    assert len(tracks) == 1


def test_what_is_only_ever_faint_is_not_sound() -> None:
    assert not _followed((at_s, [_person(0.2, score=0.4)]) for at_s in _every(0.5, 5))


@pytest.mark.parametrize("beside", [0.003, 0.012, 0.02])
def test_a_second_box_on_one_thing_is_no_second_track(beside: float) -> None:
    tracks = _followed(
        (at_s, [_person(0.3 + 0.02 * at_s), _person(0.3 + beside + 0.02 * at_s, score=0.6)]) for at_s in _every(0.2, 5)
    )
    assert len(tracks) == 1


def test_after_a_cut_nothing_is_where_it_was() -> None:
    tracker = Tracker()
    for at_s in _every(0.5, 2):
        assert not tracker.look(at_s, [_person(0.4)])
    (before,) = tracker.look(2.5, [_person(0.4)], cut=True)
    (after,) = tracker.finish()
    assert (before.last.at_s, after.first.at_s) == (2.0, 2.5)


def test_the_best_sighting_was_that_of_something_open_ever_since() -> None:
    tracker, held = Tracker(), set[float]()
    for at_s in _every(0.2, 30):
        flickers = [] if at_s % 3 > 2.5 else [_person(0.2 + 0.02 * at_s, score=0.9 - 0.1 * (at_s % 0.7))]
        for track in tracker.look(at_s, flickers):
            assert track.best.at_s in held
        held = {each.best.at_s for each in tracker.open if each.best.at_s in held or each.best.at_s == at_s}
    for track in tracker.finish():
        assert track.best.at_s in held


def test_only_what_was_lately_in_view_is_kept() -> None:
    tracker, most = Tracker(), 0
    for number, at_s in enumerate(_every(0.25, 300)):
        tracker.look(at_s, [_person(0.1 + number % 25 * 0.03, 0.3 + number // 25 % 3 * 0.2)])
        most = max(most, len(tracker.open))
    assert most < 20


def test_a_track_has_the_mean_colours_of_its_sightings() -> None:
    (track,) = _followed((at_s, [_person(0.4, dress="a")]) for at_s in _every(0.5, 3))
    assert track.colours is not None
    assert [unlikeness_of(float(track.colours @ _dress(each)), 9) < 0 for each in "ab"] == [True, False]
