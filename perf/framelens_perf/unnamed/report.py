"""The figures of goods without a name, as a table and as report.json."""

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from framelens_perf.machine import machine
from framelens_perf.unnamed.price import Price
from framelens_perf.unnamed.questions import PhotographFigures, SceneFigures

LEAST_TIMES_FOUND = 2.0
MOST_FALSE_MATCHES = 0.03


@dataclass(frozen=True)
class Report:
    """What was asked with, and what came of it."""

    products: int
    boxes: int
    threshold: float
    scenes: SceneFigures
    photographs: PhotographFigures
    # Photographs that no constant was chosen with.
    held_out: PhotographFigures
    price: Price


def write_report(path: Path, report: Report) -> None:
    found, photographs, held_out = report.scenes, report.photographs, report.held_out
    written = {
        "machine": machine(),
        "products": report.products,
        "unnamed_boxes": report.boxes,
        "match_threshold": report.threshold,
        "frames_with_a_product": {
            "asked": found.asked,
            "found_by_labels": found.found_by_labels,
            "found": found.found,
            "times_found": found.times_found,
            "found_by_place": found.found_by_place,
            "misled": found.misled,
            "missed": found.missed,
        },
        "frames_without_product": {
            name: {"asked": each.asked, "false_matches": len(each.matched), "share": each.share, "which": each.matched}
            for name, each in (("photographs", photographs), ("held_out", held_out))
        },
        "ms": {
            "labels_alone": statistics.median(found.labels_ms),
            "with_unnamed": statistics.median(found.both_ms),
            "added": found.added_ms,
        },
        "cpu_ms": asdict(report.price),
    }
    path.write_text(json.dumps(written, indent=2) + "\n")


def print_report(console: Console, report: Report) -> None:
    found = report.scenes
    table = Table("goods without a name", "", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_row(f"{report.products} products, threshold {report.threshold:.3f}", f"{report.boxes} boxes a frame")
    table.add_row("found and matched first, by labels alone", _share(found.found_by_labels, found.asked))
    table.add_row(f"with boxes without a name: {found.times_found:.2f} times", _share(found.found, found.asked))
    table.add_row("the same, with the product's place given as a region", _share(found.found_by_place, found.asked))
    table.add_row("led to another product as well", _share(found.misled, found.asked))
    for name, each in (("photographs without product", report.photographs), ("held-out ones", report.held_out)):
        table.add_row(f"{name} with a false match", _share(len(each.matched), each.asked))
    table.add_row("median ms, labels alone", f"{statistics.median(found.labels_ms):.1f}")
    table.add_row("median ms, with boxes without a name", f"{statistics.median(found.both_ms):.1f}")
    table.add_row("added ms, median over frames", f"{found.added_ms:.1f}")
    table.add_row("recognizer's CPU ms, labels alone", f"{report.price.labels_cpu_ms:.1f}")
    table.add_row(f"added CPU ms, {report.price.boxes:.1f} boxes a frame", f"{report.price.added_cpu_ms:.1f}")
    console.print(table)


def verdict(console: Console, report: Report) -> bool:
    wrong = []
    if report.scenes.times_found < LEAST_TIMES_FOUND:
        wrong.append(f"found {report.scenes.times_found:.2f} times what labels find; the bar is {LEAST_TIMES_FOUND}")
    for name, each in (("photographs", report.photographs), ("held-out photographs", report.held_out)):
        if each.share > MOST_FALSE_MATCHES:
            wrong.append(f"{each.share:.1%} of {name} have a false match; the bar is {MOST_FALSE_MATCHES:.0%}")
    for fault in wrong:
        console.print(f"[bold red]wrong[/] {fault}")
    if not wrong:
        console.print("[bold green]the bars are kept[/]")
    return not wrong


def _share(count: int, of: int) -> str:
    return f"{count} of {of}, {count / of:.1%}"
