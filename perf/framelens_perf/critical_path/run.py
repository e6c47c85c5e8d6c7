"""`make perf`: every measurement of the critical path on one stack, its report and its bars."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from framelens_perf.critical_path.bars import Bars
from framelens_perf.critical_path.limit import Engines, Limit
from framelens_perf.critical_path.load import Target, saturating
from framelens_perf.critical_path.measure import FULL, QUICK, Lengths, hot, load_curve, overload, saturation
from framelens_perf.critical_path.scene import PerfPaths, fill, repository_with
from framelens_perf.critical_path.triton_statistics import TritonStatistics
from framelens_perf.machine import machine
from framelens_perf.overhead import measure_overhead
from framelens_perf.stack import Addresses, embedded_stack
from framelens_perf.swap.changes import EMBEDDER
from framelens_perf.workload.frames import feed_frames

SLO_MS = 150.0
LATEST = "latest"
_FRAMES = 60
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


def run_perf(paths: PerfPaths, plan: Plan, console: Console) -> Path:
    """The folder of the report. Raises StackFailure, CommandFailure."""
    paths.out.mkdir(parents=True, exist_ok=True)
    repository = repository_with(plan.precision, paths, console.print)
    stack_dir = paths.out / f"stack-{plan.products}"
    frames = feed_frames(paths.pictures, _FRAMES)
    console.print("starting Triton, Milvus and the gateway on loopback")
    with embedded_stack(paths.stack_command, stack_dir, repository) as addresses:
        fill(addresses.grpc, plan.products, stack_dir / "filled.json", console.print)
        with Limit(Engines(repository, EMBEDDER), plan.products) as limit:
            report = _measured(Target(addresses.grpc, frames), addresses, limit, plan, console)
    return _written(paths.out, report, console)


def _measured(target: Target, addresses: Addresses, limit: Limit, plan: Plan, console: Console) -> dict[str, Any]:
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
    repeated = hot(target, saturated.rate, lengths)
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
    console.print(bars.table())
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine(),
        "precision": plan.precision,
        "products": plan.products,
        "bars": bars.to_json(),
        "alone": asdict(alone),
        "saturated": saturated.to_json(),
        "curve": curve,
        "overload": over_summary,
        "hot": repeated,
    }


def _written(out: Path, report: dict[str, Any], console: Console) -> Path:
    folder = out / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    latest = out / LATEST
    latest.unlink(missing_ok=True)
    latest.symlink_to(folder.name)
    console.print(f"the report is in {folder}")
    return folder
