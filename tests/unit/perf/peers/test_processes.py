"""Nothing of a peer outlives its measurement."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from framelens_perf.peers.processes import end_family

# A server as LitServe is one: killed, it leaves behind a worker with a session of its own that ignores SIGTERM.
_PARENT = """
import subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
worker = subprocess.Popen([sys.executable, "-c", child], start_new_session=True, stdout=subprocess.PIPE)
worker.stdout.readline()
print(worker.pid, flush=True)
time.sleep(600)
"""


def test_what_a_server_leaves_behind_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framelens_perf.peers.processes._GRACE_S", 0.5)
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        end_family(parent.pid)
        assert parent.wait() != 0
    _assert_gone(worker)


def _assert_gone(pid: int) -> None:
    """Ended, whether or not somebody has asked how."""
    for _ in range(50):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} still runs")
