"""Ours and the peers' largest rate with p99 kept, measured by the same code on the same frames and engines."""

import asyncio
import itertools
from typing import Any

from rich.console import Console

from framelens_perf.critical_path.bars import BestPeer
from framelens_perf.critical_path.load import Target
from framelens_perf.open_loop.sender import OK
from framelens_perf.peers.definitions import PEERS
from framelens_perf.peers.failures import AskFailed
from framelens_perf.peers.measurement import Measured, Plan, measure
from framelens_perf.peers.run import PeerPaths, run_peers
from framelens_perf.workload.traffic import RECOGNIZE, GatewayCaller, Request

# Four servers have to fit into some minutes.
_PLAN = Plan(alone_asks=30, warm_up_s=3, saturate_s=8, try_s=6, precision=0.1)
_OURS = "FrameLens"
# No frame of theirs was asked about before.
_FIRST_MARK = 1 << 48


def measured_as_a_peer(target: Target) -> Measured:
    """Over gRPC, through the gateway and its index, each frame in bytes of its own."""

    async def work() -> Measured:
        caller, marks = GatewayCaller(target.address, target.deadline_s), itertools.count(_FIRST_MARK)

        async def ask(frame: bytes) -> None:
            answer = await caller.ask(Request(RECOGNIZE, frame, next(marks)))
            if answer.code != OK:
                raise AskFailed(f"the gateway answered {answer.code}")

        try:
            return await measure(ask, target.frames, _PLAN)
        finally:
            await caller.close()

    return asyncio.run(work())


def beside_peers(ours: Measured, paths: PeerPaths, console: Console) -> tuple[list[dict[str, Any]], BestPeer]:
    """What each server came to, ours first, and the best peer. Raises PeerFailure, AskFailed."""
    results = run_peers(paths, PEERS, _PLAN, {}, console)
    best = max(results, key=lambda result: result.measured.sustained)
    told = [{"name": _OURS, "measured": ours.to_json()}, *(result.to_json() for result in results)]
    return told, BestPeer(best.name, best.measured.sustained, ours.sustained)
