"""More callers than the stack can serve: what is shed is told so, nothing else fails, and memory stays flat."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from framelens_client import AsyncClient, FrameLensError, Overloaded
from framelens_client.settings import Retries

CALLERS = 500
SECONDS = 15


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


@pytest.mark.timeout(180)
async def test_five_hundred_callers_meet_nothing_but_shedding(stack: object, jpeg: Callable, anew: Callable) -> None:
    picture = jpeg("coffee.png", quality=70)
    outcomes: Counter[str] = Counter()
    halfway: list[float] = []

    async def call(client: AsyncClient, end: float) -> None:
        while asyncio.get_running_loop().time() < end:
            try:
                answer = await client.recognize(anew(picture), timeout_s=30)
                outcomes["ok" if answer.objects else "empty"] += 1
            except Overloaded as error:
                outcomes["shed"] += 1
                assert error.retry_after_s > 0
                await asyncio.sleep(max(0.5, error.retry_after_s))
            except FrameLensError as error:
                outcomes[f"{error.reason}: {error}"] += 1

    async def watch() -> None:
        await asyncio.sleep(SECONDS / 3)
        halfway.append(resident_mib(stack.pid("gateway")))

    async with AsyncClient(stack["grpc"], retries=Retries(attempts=1)) as client:
        await client.recognize(picture)
        end = asyncio.get_running_loop().time() + SECONDS
        await asyncio.gather(watch(), *(call(client, end) for _ in range(CALLERS)))
    assert set(outcomes) == {"ok", "shed"}, outcomes
    # Flat: from a third of the run to its end, no more than the noise of an allocator.
    assert resident_mib(stack.pid("gateway")) < halfway[0] * 1.15 + 16
