"""Loading stands back, and serving does not."""

import os
import threading
from pathlib import Path

import pytest

from framelens_triton import priority
from framelens_triton.priority import background_priority


def niceness() -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in Path("/proc/self/task").iterdir()}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may raise a priority again")
def test_the_block_runs_in_the_background_and_its_threads_come_back_from_there() -> None:
    before, stop = os.getpriority(os.PRIO_PROCESS, 0), threading.Event()
    with background_priority():
        assert os.getpriority(os.PRIO_PROCESS, 0) == min(before + 15, 19)
        started = threading.Thread(target=stop.wait)
        started.start()
        assert before + 15 in niceness()
    assert niceness() == {before}
    stop.set()
    started.join()


def test_who_could_not_come_back_does_not_go(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    monkeypatch.setattr(priority, "_may_raise", lambda _: False)
    with background_priority():
        assert os.getpriority(os.PRIO_PROCESS, 0) == before
