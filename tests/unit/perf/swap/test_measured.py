"""Which answers count for which kind of change."""

import sys
import time
from collections.abc import Iterator

import pytest

from framelens_perf.processes import memory_mib
from framelens_perf.swap import measured as module
from framelens_perf.swap.changes import Step
from framelens_perf.swap.load import Answered
from framelens_perf.swap.measured import measure

PYTHON = "import json, time; time.sleep(0.3); print(json.dumps(1))"


class RecordedLoad:
    """An answer every hundredth of a second; those in the first command are slow and one of them failed."""

    def __init__(self) -> None:
        self.answers: list[Answered] = []
        self.started = 0.0

    def start(self) -> None:
        self.started = time.monotonic()

    def stop(self) -> None:
        times = [self.started + n / 100 for n in range(int((time.monotonic() - self.started) * 100))]
        slow = (self.started + 1.2, self.started + 1.25)
        for at in times:
            is_slow = slow[0] <= at <= slow[1]
            self.answers.append(Answered(at, 50.0 if is_slow else 10.0, "OK"))
        self.answers.append(Answered(slow[0], 10.0, "TRITON_UNAVAILABLE: gone"))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_BEFORE_S", 1.1)
    monkeypatch.setattr(module, "_BETWEEN_S", 0.2)
    return


def test_each_kind_of_change_has_the_answers_of_its_own_commands() -> None:
    command = [sys.executable, "-c", PYTHON]
    steps = [Step("publish", command, 100.0), Step("rollback", command)]
    publish, rollback = measure(steps, RecordedLoad(), 1)  # type: ignore[arg-type]
    assert (publish.change, publish.failed, publish.p99_during_ms) == ("publish", 1, 50.0)
    assert publish.examples == ("TRITON_UNAVAILABLE: gone",)
    assert publish.memory_allowed_mib == 100
    assert (rollback.change, rollback.failed, rollback.p99_during_ms) == ("rollback", 0, 10.0)
    assert publish.p99_before_ms == rollback.p99_before_ms == 10.0
    assert len(publish.seconds) == len(rollback.seconds) == 1


def test_memory_of_a_process_that_is_gone_is_none() -> None:
    assert memory_mib(2**22) == 0
