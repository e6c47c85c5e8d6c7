"""Who serves a request: stable, even, and the same on every gateway."""

from collections import Counter

import pytest

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.trials.choice import Group, group_of

NAME = "detector__candidate"


def by_key(number: int, share: float, name: str = NAME) -> Group:
    return group_of(pb.RecognizeRequest(key=f"user-{number}", picture=b"any"), share, name)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.4, 0.5])
def test_the_share_is_kept_and_the_control_group_is_as_large(share: float) -> None:
    groups = Counter(by_key(number, share) for number in range(20_000))
    assert groups[Group.CANDIDATE] / 20_000 == pytest.approx(share, rel=0.15)
    assert groups[Group.CONTROL] / 20_000 == pytest.approx(share, rel=0.15)


def test_a_large_share_leaves_what_it_can_to_the_control_group() -> None:
    groups = Counter(by_key(number, 0.9) for number in range(5000))
    assert groups[Group.REST] == 0
    assert groups[Group.CONTROL] / 5000 == pytest.approx(0.1, rel=0.2)
    assert {by_key(number, 1.0) for number in range(500)} == {Group.CANDIDATE}


def test_a_larger_share_keeps_those_that_a_smaller_one_has_chosen() -> None:
    chosen = {number for number in range(3000) if by_key(number, 0.05) is Group.CANDIDATE}
    assert chosen <= {number for number in range(3000) if by_key(number, 0.2) is Group.CANDIDATE}


def test_another_candidate_chooses_others() -> None:
    one = {number for number in range(3000) if by_key(number, 0.1) is Group.CANDIDATE}
    other = {number for number in range(3000) if by_key(number, 0.1, "products__next") is Group.CANDIDATE}
    assert len(one & other) < 0.3 * len(one)


def test_the_choice_does_not_change_between_processes() -> None:
    assert "".join(by_key(number, 0.25).value[1] for number in range(24)) == "aeaeeoeeaaaaaeoeoaaeaaoe"


def test_one_key_is_in_one_group_whatever_the_picture_and_the_method() -> None:
    box = pb.Box(x_max=1, y_max=1)
    for number in range(50):
        key = f"user-{number}"
        frame = group_of(pb.RecognizeRequest(key=key, picture=b"one"), 0.5, NAME)
        assert frame is group_of(pb.RecognizeRequest(key=key, picture=b"two"), 0.5, NAME)
        assert frame is group_of(pb.SearchRegionRequest(key=key, picture=b"one", region=box), 0.5, NAME)


@pytest.mark.parametrize("size", [10, 32 * 1024, 32 * 1024 + 1, 2**20])
def test_without_a_key_the_picture_decides(size: int) -> None:
    pictures = [bytes([number]) * size for number in range(64)]
    groups = [group_of(pb.RecognizeRequest(picture=picture), 0.5, NAME) for picture in pictures]
    assert {Group.CANDIDATE, Group.CONTROL} == set(groups)
    assert groups == [group_of(pb.SearchRegionRequest(picture=picture), 0.5, NAME) for picture in pictures]


def test_a_key_is_not_the_picture_of_the_same_bytes() -> None:
    numbers = range(200)
    by_picture = [group_of(pb.RecognizeRequest(picture=f"user-{n}".encode()), 0.3, NAME) for n in numbers]
    assert by_picture != [by_key(n, 0.3) for n in numbers]


def test_any_key_of_the_contract_can_be_hashed() -> None:
    for key in ("é漢\U0001f600", " ", "x" * 256):
        group_of(pb.RecognizeRequest(key=key), 0.5, "m" * 300)
