"""Permits are bounded and always come back."""

from contextlib import suppress

import pytest

from framelens_gateway import admission as admission_module
from framelens_gateway.admission import Admission
from framelens_gateway.errors import Overloaded


def test_sheds_at_once_above_its_bound_and_admits_again() -> None:
    admission = Admission(2)
    with admission.permit(), admission.permit():
        with pytest.raises(Overloaded, match="2 requests are in flight"), admission.permit():
            raise AssertionError("not reached")
        assert admission.in_flight == 2
    with admission.permit():
        assert admission.in_flight == 1
    assert admission.in_flight == 0


def test_a_failed_request_gives_its_permit_back() -> None:
    admission = Admission(1)
    with pytest.raises(ZeroDivisionError), admission.permit():
        _ = 1 / 0
    assert admission.in_flight == 0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(admission_module, "time", made)
    return made


def run(admission: Admission, clock: Clock, seconds: float, *, fails: bool = False) -> None:
    with suppress(ZeroDivisionError), admission.permit():
        clock.now += seconds
        if fails:
            _ = 1 / 0


def retry_after_s(admission: Admission) -> float:
    with admission.permit(), pytest.raises(Overloaded) as shed, admission.permit():
        pass
    return shed.value.retry_after_s


def test_retry_after_follows_the_duration_of_requests(clock: Clock) -> None:
    admission = Admission(1)
    for _ in range(100):
        run(admission, clock, 0.5)
    assert retry_after_s(admission) == pytest.approx(0.5, rel=0.01)


def test_requests_that_are_refused_at_once_do_not_call_the_others_back_sooner(clock: Clock) -> None:
    admission = Admission(1)
    for _ in range(100):
        run(admission, clock, 0.5)
        for _ in range(20):
            run(admission, clock, 0.001, fails=True)
    assert retry_after_s(admission) == pytest.approx(0.5, rel=0.01)


def test_requests_that_fail_late_count(clock: Clock) -> None:
    admission = Admission(1)
    for _ in range(100):
        run(admission, clock, 2, fails=True)
    assert retry_after_s(admission) == pytest.approx(2, rel=0.01)


def test_retry_after_never_falls_to_nothing(clock: Clock) -> None:
    admission = Admission(1)
    for _ in range(100):
        run(admission, clock, 0.0001)
    assert retry_after_s(admission) == 0.02
