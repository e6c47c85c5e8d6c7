"""The supervisor and its parts, with tiny real processes."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from framelens_gateway.stack import part as part_module
from framelens_gateway.stack import supervisor as supervisor_module
from framelens_gateway.stack.part import Part, PartProcess
from framelens_gateway.stack.supervisor import StartFailure, Supervisor

# Says that it is up by a file that holds its pid, and stays.
STAY = "import os,sys,time; open(sys.argv[1],'w').write(str(os.getpid())); print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + STAY
# Its child shares its group and outlives it where nobody stops it.
WITH_CHILD = (
    "import subprocess,sys; subprocess.Popen([sys.executable,'-c','import os,sys,time;"
    'open(sys.argv[1]+".child","w").write(str(os.getpid())); time.sleep(60)\',sys.argv[1]]);' + STAY
)


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def part(tmp_path: Path) -> Callable[..., Part]:
    def make(name: str, code: str = STAY, **changed: Any) -> Part:
        mark = tmp_path / name

        async def probe() -> bool:
            return mark.exists() and mark.read_text() != ""

        fields = {"command": (sys.executable, "-c", code, str(mark)), "environment": {}, "probe": probe}
        return Part(name=name, log=tmp_path / "log" / f"{name}.log", **{**fields, **changed})

    return make


@pytest.fixture
async def supervise(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Supervisor]]:
    monkeypatch.setattr(supervisor_module, "_FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr(supervisor_module, "_PROBE_EVERY_S", 0.01)
    made: list[Supervisor] = []

    def make(*stages: list[Part], start_s: float = 10, stop_s: float = 5) -> Supervisor:
        made.append(Supervisor(stages, start_s, stop_s))
        return made[-1]

    yield make
    for each in made:
        await each.stop()


async def test_parts_start_in_their_order_and_all_stop(
    part: Callable[..., Part], supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    slow = "import time; time.sleep(0.3);" + STAY
    first, second = part("first", slow), part("second")
    supervisor = supervise([first, part("beside", WITH_CHILD)], [second])
    await supervisor.start()
    assert set(supervisor.pids) == {"first", "beside", "second"}
    assert (tmp_path / "first").stat().st_mtime <= (tmp_path / "second").stat().st_mtime
    pids = [*supervisor.pids.values(), int((tmp_path / "beside.child").read_text())]
    assert all(map(alive, pids))
    await supervisor.stop()
    await asyncio.sleep(0.05)
    assert not any(map(alive, pids))


async def test_a_part_that_dies_while_starting_is_named_with_the_end_of_its_log(
    part: Callable[..., Part], supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    dying = part("broken", "import sys; print('E0101 the cause'); [print('noise', n) for n in range(50)]; sys.exit(3)")
    supervisor = supervise([dying], [part("never")])
    with pytest.raises(StartFailure, match="broken exited with status 3") as failed:
        await supervisor.start()
    assert "E0101 the cause" in str(failed.value)
    assert "noise 49" in str(failed.value)
    assert "noise 30" not in str(failed.value)
    assert not (tmp_path / "never").exists()


async def test_after_one_failed_nothing_more_is_started(
    part: Callable[..., Part], supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    supervisor = supervise([part("broken", "import sys; sys.exit(1)"), part("slow", "import time; time.sleep(60)")])
    with pytest.raises(StartFailure, match="broken"):
        await supervisor.start()
    assert [task for task in asyncio.all_tasks() if "Supervisor._start" in repr(task.get_coro())] == []
    await supervisor.stop()
    assert not any(map(alive, supervisor.pids.values()))


async def test_a_part_that_does_not_answer_in_time(
    part: Callable[..., Part], supervise: Callable[..., Supervisor]
) -> None:
    supervisor = supervise(
        [part("silent", "import time; print('still loading', flush=True); time.sleep(60)")], start_s=1
    )
    with pytest.raises(StartFailure, match="silent did not answer within 1 s:\nstill loading"):
        await supervisor.start()


async def test_a_part_that_dies_while_a_later_one_waits_for_it_is_the_one_that_is_named(
    part: Callable[..., Part], supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    begun = str(tmp_path / "begun")
    dies = STAY.replace(
        "time.sleep(60)",
        f"[time.sleep(0.01) for _ in iter(lambda: os.path.exists({begun!r}), True)]; "
        "print('E0101 the cause', flush=True); sys.exit(3)",
    )
    waits = f"import time; open({begun!r}, 'w').close(); time.sleep(60)"
    supervisor = supervise([part("first", dies)], [part("second", waits)])
    with pytest.raises(StartFailure, match="first exited with status 3 while starting") as failed:
        await supervisor.start()
    assert "E0101 the cause" in str(failed.value)


async def test_a_program_that_is_not_there_is_named(
    part: Callable[..., Part], supervise: Callable[..., Supervisor]
) -> None:
    with pytest.raises(StartFailure, match="missing cannot be run: .*/no/such/program"):
        await supervise([part("missing", command=("/no/such/program",))]).start()


async def test_what_dies_is_reported_and_restarted_with_backoff(
    part: Callable[..., Part],
    supervise: Callable[..., Supervisor],
    until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.INFO)
    supervisor = supervise([part("mortal", WITH_CHILD), part("other")])
    await supervisor.start()
    other = supervisor.pids["other"]
    changes: list[dict[str, int]] = []
    watching = asyncio.create_task(supervisor.watch(lambda: changes.append(supervisor.pids)))
    pauses = []
    for turn in range(3):
        before = supervisor.pids["mortal"]
        await until((tmp_path / "mortal.child").exists)
        await asyncio.sleep(0.1)
        child = int((tmp_path / "mortal.child").read_text())
        os.kill(before, 9)
        killed = time.monotonic()
        await until(lambda turn=turn: len(changes) > turn)
        pauses.append(time.monotonic() - killed)
        assert changes[-1]["mortal"] not in (before, 0)
        # What it left running would hold its ports.
        assert not alive(child)
    assert supervisor.pids["other"] == other
    assert pauses[0] >= 0.05
    assert pauses[2] >= 0.2
    assert "mortal died with status -9; restarting it in 0.1 s. The end of its log:\nup" in caplog.text
    watching.cancel()


async def test_a_program_that_is_away_at_a_restart_does_not_end_the_watch(
    part: Callable[..., Part],
    supervise: Callable[..., Supervisor],
    until: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor_module, "_LONGEST_BACKOFF_S", 0.05)
    program = tmp_path / "program"
    program.symlink_to(sys.executable)
    mortal = part("mortal")
    mortal = part("mortal", command=(str(program), *mortal.command[1:]))
    supervisor = supervise([mortal])
    await supervisor.start()
    changes: list[int] = []
    watching = asyncio.create_task(supervisor.watch(lambda: changes.append(1)))
    program.unlink()
    os.kill(supervisor.pids["mortal"], 9)
    await asyncio.sleep(0.3)
    assert not watching.done()
    program.symlink_to(sys.executable)
    await until(lambda: changes)
    watching.cancel()


async def test_what_ignores_a_request_to_stop_is_killed(
    part: Callable[..., Part], supervise: Callable[..., Supervisor]
) -> None:
    supervisor = supervise([part("stubborn", STUBBORN)], stop_s=0.3)
    await supervisor.start()
    started = time.monotonic()
    await supervisor.stop()
    assert 0.3 <= time.monotonic() - started < 3
    assert not alive(supervisor.pids["stubborn"])


async def test_a_start_that_is_called_off_leaves_nothing(
    part: Callable[..., Part], supervise: Callable[..., Supervisor]
) -> None:
    supervisor = supervise([part("a", "import time; time.sleep(60)"), part("b", "import time; time.sleep(60)")])
    starting = asyncio.create_task(supervisor.start())
    await asyncio.sleep(0.1)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    await supervisor.stop()
    assert not any(map(alive, supervisor.pids.values()))


async def test_the_end_of_a_log(part: Callable[..., Part]) -> None:
    noisy = part("noisy", "print('x' * 1000_000); print('é the end')")
    noisy.log.parent.mkdir()
    noisy.log.write_text("of an earlier run\n")
    process = await PartProcess.start(noisy)
    await process.exited()
    assert process.log_tail().endswith("é the end")
    assert len(process.log_tail()) < 100_000
    assert "earlier" not in process.log_tail()
    noisy.log.unlink()
    assert "is gone" in process.log_tail()


async def test_a_long_log_is_put_aside_at_a_start(part: Callable[..., Part], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_module, "_LONGEST_LOG_BYTES", 10)
    says = part("says", "print('said by this run')")
    says.log.parent.mkdir()
    for _ in range(3):
        await (await PartProcess.start(says)).exited()
    assert sorted(path.name for path in says.log.parent.iterdir()) == ["says.log", "says.log.1"]
    assert says.log.read_text() == "said by this run\n"
