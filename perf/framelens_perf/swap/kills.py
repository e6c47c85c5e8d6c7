"""kill -9 at random moments of a change: afterwards the system serves, no acknowledged write is lost, and repeating the
command finishes the job.
"""

import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from framelens_client import Client, FrameLensError
from framelens_perf.processes import kill
from framelens_perf.stack import SERVE_FILE, StackFailure, read_addresses
from framelens_perf.swap.changes import Change, Command, CommandFailure, run
from framelens_perf.swap.load import fault
from framelens_perf.swap.questions import Question
from framelens_perf.swap.writer import Writer

VICTIMS = ("command", "triton", "gateway")
_SERVES_WITHIN_S = 120
_REPEATS = 8
_PAUSE_S = 2.0
_WRITE_PAUSE_S = 0.1


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it."""

    change: str
    victim: str
    after_s: float
    serves_again_s: float
    repeats: int
    acknowledged: int
    lost: tuple[str, ...]


@dataclass(frozen=True)
class Killer:
    """Kills parts of the stack whose `var_dir` is given."""

    var_dir: Path
    asked: Sequence[Question]
    pictures: Sequence[bytes]

    def kill_during(self, change: Change, victim: str, seconds: float, moments: random.Random) -> Kill:
        """`seconds` is how long the change takes. Raises CommandFailure, StackFailure."""
        writer = Writer(self._address, self.pictures, _WRITE_PAUSE_S)
        writer.start()
        try:
            after = moments.uniform(0, seconds)
            self._kill(change.forward.command, victim, after)
            started = time.monotonic()
            self._wait_until_it_serves()
            serves_again = time.monotonic() - started
            repeats = _repeat(change.forward.command)
        finally:
            writer.stop()
        lost = tuple(writer.lost())
        for step in change.undo:
            _repeat(step.command)
        writer.remove_all()
        return Kill(
            change.forward.name, victim, round(after, 2), round(serves_again, 2), repeats, writer.acknowledged, lost
        )

    @property
    def _address(self) -> str:
        return read_addresses(self.var_dir / SERVE_FILE).grpc

    def _kill(self, command: Command, victim: str, after_s: float) -> None:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(after_s)
        kill(process.pid if victim == "command" else read_addresses(self.var_dir / SERVE_FILE).pids[victim])
        process.wait()

    def _wait_until_it_serves(self) -> None:
        """Every question is answered right again."""
        with Client(self._address) as client:
            for question in self.asked:
                _wait_for(lambda question=question: _answers(client, question))  # type: ignore[misc]


def _answers(client: Client, question: Question) -> bool:
    try:
        if question.region is None:
            return not fault(question, client.recognize(question.picture, top_k=5))
        return not fault(question, client.search_region(question.picture, question.region, top_k=5))
    except FrameLensError:
        return False


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _SERVES_WITHIN_S
    while not condition():
        if time.monotonic() > end:
            raise StackFailure(f"the stack did not serve again within {_SERVES_WITHIN_S} s of a kill")
        time.sleep(0.1)


def _repeat(command: Command) -> int:
    """How often the command was run until it succeeded. Raises CommandFailure."""
    for attempt in range(1, _REPEATS):
        try:
            run(command)
        except CommandFailure:
            time.sleep(_PAUSE_S)
        else:
            return attempt
    run(command)
    return _REPEATS
