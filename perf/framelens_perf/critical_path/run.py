"""`make perf`: every measurement of the critical path on one stack, its report and its bars."""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from framelens_perf.critical_path.bars import Bars
from framelens_perf.critical_path.limit import Engines, Limit
from framelens_perf.critical_path.load import Target, saturating
from framelens_perf.critical_path.measure import FULL, QUICK, Lengths, hot, load_curve, overload, saturation
from framelens_perf.critical_path.page import page
from framelens_perf.critical_path.peers import beside_peers, measured_as_a_peer
from framelens_perf.critical_path.scene import fill, repository_with
from framelens_perf.critical_path.triton_statistics import TritonStatistics
from framelens_perf.in_process import EMBEDDER
from framelens_perf.machine import machine
from framelens_perf.overhead import measure_overhead
from framelens_perf.paths import Paths
from framelens_perf.peers.run import PeerPaths
from framelens_perf.stack import Addresses, embedded_stack
from framelens_perf.workload.frames import feed_frames

SLO_MS = 150.0
LATEST = "latest"
_FRAMES = 60
_PEERS = Path(".venv/peers")
_WARM_UP_S = 3.0


@dataclass(frozen=True)
class Plan:
    """What is measured, and on what."""

    precision: str
    products: int
    lengths: Lengths
    peers: bool


FULL_PLAN = Plan("int8", 10_000, FULL, peers=True)
# On engines that are there already and an index that is filled in half a minute.
QUICK_PLAN = Plan("fp32", 1_000, QUICK, peers=False)


def run_perf(paths: Paths, plan: Plan, console: Console) -> Path:
    """The folder of the report. Raises StackFailure, CommandFailure."""
    paths.out.mkdir(parents=True, exist_ok=True)
    repository = repository_with(plan.precision, paths, console.print)
    stack_dir = paths.out / f"stack-{plan.products}"
    frames = feed_frames(paths.pictures, _FRAMES)
    console.print("starting Triton, Milvus and the gateway on loopback")
    with embedded_stack(paths.stack_command, stack_dir, repository) as addresses:
        fill(addresses.grpc, plan.products, stack_dir / "filled.json", console.print)
        target = Target(addresses.grpc, frames)
        with Limit(Engines(repository, EMBEDDER), plan.products) as limit:
            report, bars = _measured(target, addresses, limit, plan, console)
        ours = measured_as_a_peer(target) if plan.peers else None
    if ours is not None:
        report["peers"], best = beside_peers(ours, PeerPaths(repository, paths.pictures, paths.out, _PEERS), console)
        bars = replace(bars, best_peer=best)
    return _written(paths.out, report | {"bars": bars.to_json()}, bars, console)


def _measured(
    target: Target, addresses: Addresses, limit: Limit, plan: Plan, console: Console
) -> tuple[dict[str, Any], Bars]:
    lengths, frames = plan.lengths, target.frames
    triton = TritonStatistics(addresses.triton_grpc)
    limit.warm_up(frames[0])
    saturating(target, _WARM_UP_S)
    console.print("one call at a time, beside the limit on one core")
    alone = measure_overhead(
        frames[: lengths.alone], lambda frame: limit.alone([frame])[0].recognition_ms, addresses, EMBEDDER
    )
    console.print("callers who never pause, beside the limit")
    saturated = saturation(target, limit, lengths)
    console.print(
        f"Poisson arrivals at {', '.join(f'{share:.0%}' for share in lengths.loads)} of {saturated.rate:.1f}/s"
    )
    curve = load_curve(target, saturated.rate, lengths, triton)
    console.print(f"twice that rate, with deadlines of {SLO_MS:g} ms")
    over, over_summary = overload(target, saturated.rate, SLO_MS, lengths)
    console.print("the same frames again and again")
    repeated = hot(target, lengths)
    triton.close()
    bars = Bars(
        slo_ms=SLO_MS,
        recognizer_over_limit=alone.recognizer_over_stages,
        saturated_over_limit=saturated.over_limit,
        gateway_added_ms=alone.gateway_added_ms,
        overload=over,
        best_peer=None,
        hot_over_uncached=repeated["over_uncached"],
    )
    report = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine(),
        "precision": plan.precision,
        "products": plan.products,
        "alone": asdict(alone),
        "saturated": saturated.to_json(),
        "curve": curve,
        "overload": over_summary,
        "hot": repeated,
    }
    return report, bars


def _written(out: Path, report: dict[str, Any], bars: Bars, console: Console) -> Path:
    folder = out / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "report.html").write_text(page(report, bars.lines()))
    latest = out / LATEST
    latest.unlink(missing_ok=True)
    latest.symlink_to(folder.name)
    console.print(bars.table())
    console.print(f"report.json and report.html are in {folder}")
    return folder
