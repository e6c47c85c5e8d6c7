"""Permits are bounded and always come back."""

import time

import pytest

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


def test_retry_after_follows_the_duration_of_requests() -> None:
    admission = Admission(1)
    for _ in range(40):
        with admission.permit():
            time.sleep(0.002)
    with admission.permit(), pytest.raises(Overloaded) as shed, admission.permit():
        pass
    assert 0.001 < shed.value.retry_after_s < 0.02
