"""The time between two events is the work's own."""

import pytest

from framelens_perf.gpu_check.events import EventTimer
from framelens_triton.cuda.stream import Stream

from .conftest import COPY_MS, ClockedDriver


def test_bandwidth_is_of_what_a_copy_reads_and_writes(driver: ClockedDriver) -> None:
    assert EventTimer().copied_bytes_per_s == pytest.approx(2 * 128 * 2**20 / (COPY_MS / 1e3))


def test_copies_before_a_batch_and_the_wait_after_it_are_not_in_its_time(driver: ClockedDriver) -> None:
    timer, stream = EventTimer(), Stream()
    before = driver.copies

    def finish() -> None:
        driver.takes(100, stream.handle)
        stream.synchronize()

    timed = timer.time(stream.handle, lambda: driver.takes(5, stream.handle), finish, repeats=4)
    assert timed.device_ms == 5
    assert driver.copies - before >= 4, "the GPU was not kept busy while the batch was asked for"


def test_every_repeat_and_warm_up_is_finished(driver: ClockedDriver) -> None:
    timer, stream = EventTimer(), Stream()
    asked: list[str] = []
    timer.time(stream.handle, lambda: asked.append("work"), lambda: asked.append("finish"), repeats=5)
    assert asked == ["work", "finish"] * (3 + 5 + 5)
