"""A stage is not begun without time for it."""

import pytest

from framelens_client.reasons import Reason
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded


def test_says_what_is_left() -> None:
    assert 9.9 < Deadline.after(10).remaining("search") <= 10


@pytest.mark.parametrize("seconds", [0, -1])
def test_names_the_stage_that_was_too_late(seconds: float) -> None:
    with pytest.raises(DeadlineExceeded, match="during search") as late:
        Deadline.after(seconds).remaining("search")
    assert late.value.reason is Reason.DEADLINE_EXCEEDED
