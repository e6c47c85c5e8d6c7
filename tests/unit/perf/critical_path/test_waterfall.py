"""A waterfall adds up to the latency of the requests that it is of."""

import pytest

from framelens_perf.critical_path.waterfall import SEGMENTS, segments, waterfall
from framelens_perf.open_loop.sender import Answer, Sent
from framelens_triton.recognition import STAGES


def sent(latency_ms: float, code: str = "OK", late_ms: float = 1.0) -> Sent[int]:
    stages_ms = {**dict.fromkeys(STAGES, 2.0), "queue": 3.0, "recognizer": 15.0, "search": 4.0, "total": 20.0}
    return Sent(0, 0.0, late_ms, latency_ms, Answer(code, stages_ms))


def test_the_segments_of_a_request_are_its_latency() -> None:
    found = segments(sent(26.0))
    assert tuple(found) == SEGMENTS
    assert sum(found.values()) == pytest.approx(26.0)
    assert (found["late"], found["way"], found["gateway"]) == (1.0, 5.0, 1.0)


def test_a_percentile_is_of_the_requests_around_it() -> None:
    run = [sent(latency_ms) for latency_ms in range(20, 120)] + [sent(5000.0, "UNAVAILABLE")]
    assert sum(waterfall(run, 50).values()) == pytest.approx(69, abs=2)
    assert sum(waterfall(run, 99).values()) == pytest.approx(117, abs=2)


def test_nothing_answered_is_no_waterfall() -> None:
    assert waterfall([sent(20.0, "UNAVAILABLE")], 50) == {}
