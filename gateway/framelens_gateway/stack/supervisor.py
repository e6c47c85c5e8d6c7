"""Keeps the parts running: starts them in order, reports one that dies with the end of its log, restarts it."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from framelens_gateway.gathering import all_or_first_failure
from framelens_gateway.stack.part import Part, PartProcess

log = logging.getLogger("framelens.stack")

_FIRST_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 30.0
# A part that ran this long has recovered: its next fault starts from the shortest backoff again.
_STEADY_S = 60.0
_PROBE_EVERY_S = 0.1


class StartFailure(Exception):
    """A part did not come up; the message names it and ends with its log."""


class Supervisor:
    """Parts in the order of their start; stopped in the reverse order."""

    def __init__(self, stages: Sequence[Sequence[Part]], start_timeout_s: float, stop_timeout_s: float) -> None:
        self._stages = stages
        self._start_timeout_s, self._stop_timeout_s = start_timeout_s, stop_timeout_s
        self._running: dict[str, PartProcess] = {}
        self._stopping = False

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._running.items()}

    async def start(self) -> None:
        """Returns when every part answers. Raises StartFailure; what was started is left for `stop`.

        The first failure stops the rest, so that nothing is started after `stop`.
        """
        for stage in self._stages:
            await all_or_first_failure(self._start(part) for part in stage)

    async def watch(self, changed: Callable[[], None]) -> None:
        """Restarts what dies, until cancelled; `changed` is called after each restart."""
        await asyncio.gather(*(self._watch(part, changed) for stage in self._stages for part in stage))

    async def stop(self) -> None:
        self._stopping = True
        for stage in reversed(self._stages):
            await asyncio.gather(
                *(self._running[p.name].stop(self._stop_timeout_s) for p in stage if p.name in self._running)
            )

    async def _start(self, part: Part) -> None:
        try:
            process = await PartProcess.start(part)
        except OSError as error:
            raise StartFailure(f"{part.name} cannot be run: {error}") from error
        self._running[part.name] = process
        try:
            async with asyncio.timeout(self._start_timeout_s):
                while not await part.probe():
                    self._check_running()
                    await asyncio.sleep(_PROBE_EVERY_S)
        except TimeoutError as error:
            raise StartFailure(
                f"{part.name} did not answer within {self._start_timeout_s:.0f} s:\n{process.log_tail()}"
            ) from error

    def _check_running(self) -> None:
        """Raises StartFailure, naming the part that died: one that needs it would wait for it in vain."""
        for name, process in self._running.items():
            if process.status is not None:
                raise StartFailure(f"{name} exited with status {process.status} while starting:\n{process.log_tail()}")

    async def _watch(self, part: Part, changed: Callable[[], None]) -> None:
        backoff = _FIRST_BACKOFF_S
        while True:
            process, since = self._running[part.name], time.monotonic()
            status = await process.exited()
            if self._stopping:
                return
            process.kill_group()
            if time.monotonic() - since > _STEADY_S:
                backoff = _FIRST_BACKOFF_S
            log.error(
                "%s died with status %d; restarting it in %.1f s. The end of its log:\n%s",
                part.name,
                status,
                backoff,
                process.log_tail(),
            )
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF_S)
            self._running[part.name] = await _started_again(part)
            log.info("%s runs again as process %d", part.name, self._running[part.name].pid)
            changed()


async def _started_again(part: Part) -> PartProcess:
    """Its program may be away for a moment, while somebody installs another."""
    while True:
        try:
            return await PartProcess.start(part)
        except OSError as error:
            log.error("%s cannot be run, trying again in %.0f s: %s", part.name, _LONGEST_BACKOFF_S, error)
            await asyncio.sleep(_LONGEST_BACKOFF_S)
