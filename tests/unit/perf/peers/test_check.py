"""When two answers are the same."""

from typing import Any

import pytest

from framelens_perf.peers.check import same_objects

CUP = {"label": "cup", "score": 0.9, "box": [0.1, 0.2, 0.3, 0.4]}
CAT = {"label": "cat", "score": 0.8, "box": [0.5, 0.5, 0.9, 0.9]}


def test_rounding_is_no_difference() -> None:
    assert same_objects([CUP, CAT], [CUP | {"score": 0.9004}, CAT | {"box": [0.5, 0.5, 0.9, 0.9003]}])
    assert same_objects([], [])


@pytest.mark.parametrize(
    "other",
    [
        [CUP],
        [CAT, CUP],
        [CUP, CAT | {"label": "dog"}],
        [CUP, CAT | {"score": 0.82}],
        [CUP, CAT | {"box": [0, 0, 1, 1]}],
    ],
)
def test_another_answer(other: list[dict[str, Any]]) -> None:
    assert not same_objects([CUP, CAT], other)
