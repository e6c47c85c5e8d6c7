"""Measures one peer after the other on the same frames, each alone on the machine."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from framelens_perf.in_process import DETECTOR, EMBEDDER, newest_engine
from framelens_perf.machine import machine
from framelens_perf.peers.check import Objects, check_answers, expected_objects
from framelens_perf.peers.definitions import Peer
from framelens_perf.peers.environment import prepared, versions
from framelens_perf.peers.http_caller import HttpCaller
from framelens_perf.peers.measurement import Measured, Plan, measure
from framelens_perf.peers.report import PeerResult, doubts, peer_table
from framelens_perf.peers.server import Engines, running
from framelens_perf.workload.frames import feed_frames

_FRAMES = 64
# Frames whose answers are compared before anything is measured.
_CHECKED = 8


@dataclass(frozen=True)
class PeerPaths:
    """What is read, where results go, and where the peers' environment is made."""

    model_repository: Path
    pictures: Path
    out: Path
    environment: Path


def run_peers(
    paths: PeerPaths, peers: Sequence[Peer], plan: Plan, settings: Mapping[str, str], console: Console
) -> list[PeerResult]:
    """Raises PeerFailure, and AskFailed where a peer leaves a caller who is alone unanswered."""
    console.print(f"preparing the peers' environment in {paths.environment} (a few minutes the first time)")
    found = versions(prepared(paths.environment))
    frames = feed_frames(paths.pictures, _FRAMES)
    expected = expected_objects(paths.model_repository, DETECTOR, EMBEDDER, frames[:_CHECKED])
    engines = Engines(
        newest_engine(paths.model_repository / DETECTOR), newest_engine(paths.model_repository / EMBEDDER)
    )
    results = []
    for peer in peers:
        console.print(f"measuring {peer.name} {found[peer.package]}")
        with running(peer, paths.environment, engines, paths.out, settings) as url:
            measured = asyncio.run(_measured(url, frames, expected, plan))
        results.append(PeerResult(peer.name, found[peer.package], dict(settings), measured))
    return results


def report_peers(results: Sequence[PeerResult], plan: Plan, path: Path, console: Console) -> None:
    """Prints the table and what to doubt in it, and writes everything to `path`."""
    report = {"machine": machine(), "plan": asdict(plan), "peers": [result.to_json() for result in results]}
    path.write_text(json.dumps(report, indent=2) + "\n")
    console.print(peer_table(results, plan))
    for doubt in (line for result in results for line in doubts(result)):
        console.print(f"[yellow]{doubt}[/]")
    console.print(f"every try of a rate is in {path}")


async def _measured(url: str, frames: Sequence[bytes], expected: Sequence[Objects], plan: Plan) -> Measured:
    async with HttpCaller(url) as caller:
        await check_answers(caller, frames[: len(expected)], expected)
        return await measure(caller.ask, frames, plan)
