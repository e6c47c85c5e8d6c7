"""The figures of a feed, as a table and as report.json."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from framelens_perf.feed.indexing import Indexed
from framelens_perf.machine import machine
from framelens_perf.open_loop.sender import OK
from framelens_perf.open_loop.summary import Summary

LEAST_TIMES_REAL = 8.0
MOST_P99_MS = 5.0
# What an allocator keeps of a longer video.
_MOST_GROWTH, _GROWTH_BESIDE_MIB = 1.1, 16.0


@dataclass(frozen=True)
class Report:
    """What was measured: a video, one so many `times` as long, and `videos` whose moments were asked for.

    `bare` is what gRPC in Python takes for the same answers, by itself.
    """

    precision: str
    short: Indexed
    long: Indexed
    times: int
    videos: int
    moments: Summary
    bare: Summary

    def faults(self) -> list[str]:
        """The bars that are not kept."""
        wrong = []
        if self.long.times_real < LEAST_TIMES_REAL:
            wrong.append(
                f"indexed {self.long.times_real:.1f} times as fast as it plays; the bar is {LEAST_TIMES_REAL:g}"
            )
        if self.long.peak_mib > self.short.peak_mib * _MOST_GROWTH + _GROWTH_BESIDE_MIB:
            wrong.append(f"memory grew from {self.short.peak_mib:.0f} to {self.long.peak_mib:.0f} MiB with the length")
        if set(self.moments.codes) != {OK}:
            wrong.append(f"calls of GetMoments failed: {self.moments.codes}")
        elif self.moments.latency_ms["p99"] >= MOST_P99_MS:
            wrong.append(f"p99 of GetMoments is {self.moments.latency_ms['p99']:.1f} ms; the bar is {MOST_P99_MS:g}")
        return wrong


def write_report(path: Path, report: Report) -> None:
    written = {
        "machine": machine(),
        **asdict(report),
        "times_real": {"short": report.short.times_real, "long": report.long.times_real},
        "moments": report.moments.to_json(),
        "bare": report.bare.to_json(),
        "faults": report.faults(),
    }
    path.write_text(json.dumps(written, indent=2) + "\n")


def print_report(console: Console, report: Report) -> None:
    columns = "720p at 25 frames/s", "times real time", "looks", "tracks", "CPU ms for each second of it", "peak MiB"
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for each in (report.short, report.long):
        cpu = ", ".join(f"{part} {ms:.0f}" for part, ms in each.cpu_ms.items())
        table.add_row(
            f"{each.duration_s:.0f} s, {report.precision}",
            f"{each.times_real:.2f}",
            f"{each.looks}",
            f"{each.tracks}",
            cpu,
            f"{each.peak_mib:.0f}",
        )
    console.print(table)
    what = f"GetMoments at {report.moments.offered_rate:.0f}/s"
    answered = {f"{what}, {report.videos} videos stored": report.moments, f"{what}, bare gRPC": report.bare}
    for name, summary in answered.items():
        latencies = ", ".join(f"{share} {ms:.2f}" for share, ms in summary.latency_ms.items())
        console.print(f"{name}: ms {latencies} {summary.codes}")
    for fault in report.faults():
        console.print(f"[bold red]wrong[/] {fault}")
