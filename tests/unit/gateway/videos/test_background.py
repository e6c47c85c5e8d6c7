"""What stands still is told from what moves before it."""

import numpy as np
import pytest

from framelens_gateway.videos.background import Background
from framelens_gateway.videos.track_colours import SmallFrame

RANDOM = np.random.default_rng(3)
STREET = RANDOM.integers(40, 200, (48, 64, 3)).astype(np.uint8)


def walker(x: int) -> SmallFrame:
    frame = STREET.copy()
    frame[10:40, x : x + 6] = (20, 160, 160)
    return frame


@pytest.fixture
def background() -> Background:
    learned = Background()
    for x in range(0, 50, 3):
        learned.moving(walker(x), cut=False)
    return learned


def test_who_walks_moves_and_the_street_does_not(background: Background) -> None:
    moving = background.moving(walker(51), cut=False)
    assert moving[10:40, 51:57].mean() > 0.9
    moving[10:40, 51:57] = 0
    assert moving.mean() < 0.1


def test_who_stood_there_from_the_first_is_not_known_to_move() -> None:
    assert not Background().moving(walker(20), cut=False).any()


def test_who_stays_for_long_becomes_part_of_it(background: Background) -> None:
    for _ in range(200):
        moving = background.moving(walker(30), cut=False)
    assert not moving.any()


def test_a_new_scene_begins_anew(background: Background) -> None:
    other = RANDOM.integers(40, 200, STREET.shape).astype(np.uint8)
    assert background.moving(other, cut=False).mean() > 0.5
    assert not background.moving(other, cut=True).any()
    # Of another size, as after a turn of the phone.
    assert not background.moving(other[:, :40], cut=False).any()
