"""One process of the stack: started, probed, watched, stopped by its process id."""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LOG_TAIL_BYTES = 64 * 1024
_LOG_TAIL_LINES = 10
# A log that is longer at a start is put aside, in the place of the one before it.
_LONGEST_LOG_BYTES = 16 * 2**20
# Triton marks errors so, then goes on talking for a screen before it exits.
_ERROR_LINE = re.compile(r"^E\d{4} |Error|error:|Traceback")
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Part:
    """What to run, and how to see that it answers."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    probe: Callable[[], Awaitable[bool]]


class PartProcess:
    """A running part. Its children share its process group, so that none outlives it."""

    def __init__(self, part: Part, process: asyncio.subprocess.Process, log_start: int) -> None:
        self.part = part
        self._process = process
        self._log_start = log_start

    @classmethod
    async def start(cls, part: Part) -> "PartProcess":
        part.log.parent.mkdir(parents=True, exist_ok=True)
        _put_aside(part.log)
        with part.log.open("ab") as log:
            log_start = log.tell()
            process = await asyncio.create_subprocess_exec(
                *part.command,
                env={**os.environ, **part.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        return cls(part, process, log_start)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """What it exited with; None while it runs."""
        return self._process.returncode

    async def exited(self) -> int:
        return await self._process.wait()

    async def stop(self, timeout_s: float) -> None:
        """SIGTERM, and SIGKILL for what is left of its group after `timeout_s`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), timeout_s)
        self.kill_group()
        await self._process.wait()

    def kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def log_tail(self) -> str:
        """The last lines of the log, and the lines before them that speak of errors."""
        try:
            with self.part.log.open("rb") as log:
                log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return f"({self.part.log} is gone)"
        errors = [line for line in lines[:-_LOG_TAIL_LINES] if _ERROR_LINE.search(line)]
        return "\n".join(errors[-_LOG_TAIL_LINES:] + lines[-_LOG_TAIL_LINES:])


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LONGEST_LOG_BYTES:
        log.rename(log.with_suffix(f"{log.suffix}.1"))


def _die_with_parent() -> None:
    """Runs in the child: should the supervisor be killed, the kernel stops this part too."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
