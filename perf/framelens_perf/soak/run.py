"""`framelens-perf soak`: a stack under steady load, watched until the time is over."""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from framelens_perf.critical_path.load import Run, Target, answered_rate, arriving, saturating
from framelens_perf.critical_path.scene import fill
from framelens_perf.machine import machine
from framelens_perf.open_loop.sender import OK
from framelens_perf.open_loop.summary import summarize
from framelens_perf.paths import Paths
from framelens_perf.soak.drift import Drift, drifts
from framelens_perf.soak.usage import Usage, usages
from framelens_perf.stack import embedded_stack
from framelens_perf.workload.frames import feed_frames
from framelens_perf.workload.traffic import Mix

_PRODUCTS, _FRAMES = 1_000, 40
_SATURATE_S = 10.0
# Steady, and with room: what grows shall be what is kept, not a queue.
_SHARE = 0.5
_MIX = Mix(regions=0.3)
_SAMPLES = 120


def run_soak(paths: Paths, minutes: float, console: Console) -> bool:
    """Whether nothing grew and nothing failed. Raises StackFailure."""
    seconds, stack_dir = minutes * 60, paths.out / f"stack-{_PRODUCTS}"
    with embedded_stack(paths.stack_command, stack_dir, paths.model_repository) as addresses:
        fill(addresses.grpc, _PRODUCTS, stack_dir / "filled.json", console.print)
        target = Target(addresses.grpc, feed_frames(paths.pictures, _FRAMES))
        saturated = answered_rate(saturating(target, _SATURATE_S, _MIX), _SATURATE_S)
        console.print(f"{_SHARE * saturated:.1f} requests/s for {minutes:g} minutes, {_SHARE:.0%} of what saturates")
        run, samples = _watched(target, _SHARE * saturated, seconds, addresses.pids)
    latencies = [each.latency_ms for each in sorted(run, key=lambda each: each.due_s) if each.code == OK]
    found, summary = drifts(samples, latencies), summarize(run, seconds)
    console.print(_table(found))
    report = {
        "machine": machine(),
        "minutes": minutes,
        **summary.to_json(),
        "drifts": [asdict(each) | {"grew": each.grew} for each in found],
        "samples": [{part: asdict(each) for part, each in sample.items()} for sample in samples],
    }
    path = paths.out / "soak.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    failed = len(run) - len(latencies)
    console.print(f"{len(run)} requests, {failed} without an answer {summary.codes}; all of it is in {path}")
    return not failed and not any(each.grew for each in found)


def _watched(
    target: Target, rate: float, seconds: float, pids: Mapping[str, int]
) -> tuple[Run, list[dict[str, Usage]]]:
    """The load's requests, and samples of what the parts held meanwhile."""
    samples: list[dict[str, Usage]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds / _SAMPLES):
            samples.append(usages(pids))

    watching = threading.Thread(target=watch, name="soak")
    watching.start()
    try:
        return arriving(target, rate, seconds, _MIX), samples
    finally:
        over.set()
        watching.join()


def _table(found: list[Drift]) -> Table:
    table = Table("what", "middle", "end", "")
    for each in found:
        table.add_row(
            each.what, f"{each.middle:.1f}", f"{each.end:.1f}", "[bold red]grew[/]" if each.grew else "[green]flat[/]"
        )
    return table
