"""`make swap-test`: publish, rollback and migrate under load, kills at random moments, and a report of it all."""

import itertools
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from framelens_perf.alterations import encoded
from framelens_perf.demo import CATALOGUE, import_catalogue
from framelens_perf.in_process import DETECTOR, EMBEDDER
from framelens_perf.machine import has_int8_dot_product, machine
from framelens_perf.paths import Paths
from framelens_perf.stack import embedded_stack
from framelens_perf.swap.changes import NEXT_SPACE, Change, Operator, Step, run
from framelens_perf.swap.kills import VICTIMS, Kill, Killer
from framelens_perf.swap.load import Load, saturated_rate
from framelens_perf.swap.measured import Measured, measure
from framelens_perf.swap.questions import questions
from framelens_perf.swap.verdict import verdict
from framelens_perf.swap.writer import PRODUCTS

_LOAD_OVER_SATURATED = 0.7
_SATURATE_S = 8.0
_WARM_UP_S = 3.0
# Changes of one kind, forth and back, so that enough requests meet one.
_ROUNDS = 3
# Of the kills, this share is during migrations: they are the longer change.
_MIGRATE_SHARE = 0.4


def run_swap_test(paths: Paths, kills: int, console: Console) -> bool:
    """Whether every bar was kept. Raises StackFailure, CommandFailure."""
    shutil.rmtree(paths.out, ignore_errors=True)
    var_dir, repository = paths.out / "stack", paths.out / "model_repository"
    ignored = shutil.ignore_patterns("*__candidate", "__pycache__", ".*")
    shutil.copytree(paths.model_repository, repository, ignore=ignored)
    with embedded_stack(paths.stack_command, var_dir, repository) as addresses:
        import_catalogue(addresses, paths.pictures, paths.out)
        operator = Operator(paths.stack_command.parent, repository, var_dir, addresses)
        engines = _prepare(operator, paths.pictures, console)
        measured = _measure_all(paths, operator, engines, console)
        killed = _kill_all(paths, operator, engines, measured, kills, console)
    report = _report(measured, killed, engines)
    console.print(_engines_sentence(report["int8"]))
    (paths.out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    faults = verdict(measured, killed, report["int8"])
    for missed in faults:
        console.print(f"[bold red]missed[/] {missed}")
    console.print(f"the report is in {paths.out / 'report.json'}")
    return not faults


def _prepare(operator: Operator, pictures: Path, console: Console) -> dict[str, dict[str, Any]]:
    """INT8 versions of both engines, validated, and a second space; engine.json of each version by model."""
    records = {}
    for model in (DETECTOR, EMBEDDER):
        console.print(f"building and validating {model} in INT8")
        built = run(operator.engines("build", model, "--precision", "int8", offline=True))
        name = f"{model}/{built['version']}"
        records[model] = run(operator.engines("validate", name, "--pictures", str(pictures), offline=True))
    run(operator.engines("space", "add", NEXT_SPACE))
    return records


def _measure_all(
    paths: Paths, operator: Operator, engines: dict[str, dict[str, Any]], console: Console
) -> list[Measured]:
    asked, addresses = questions(CATALOGUE, paths.pictures), operator.addresses
    saturated_rate(addresses.grpc, asked, _WARM_UP_S)
    measured = []
    for steps in _all_steps(operator, engines):
        # Anew for each kind of change: a shared machine is not as fast as it was minutes ago.
        rate = _LOAD_OVER_SATURATED * saturated_rate(addresses.grpc, asked, _SATURATE_S)
        console.print(f"load: {rate:.1f} requests/s, 70 % of what saturates this machine")
        for found in measure(steps, Load(addresses.grpc, asked, rate), addresses.pids["triton"]):
            console.print(_sentence(found))
            measured.append(found)
    return measured


def _all_steps(operator: Operator, engines: dict[str, dict[str, Any]]) -> Iterator[list[Step]]:
    """What is run behind one load, forth and back."""
    for change in _publications(operator, engines):
        yield change.steps * _ROUNDS
    yield operator.migrate().steps


def _publications(operator: Operator, engines: dict[str, dict[str, Any]]) -> list[Change]:
    return [
        operator.publish(model, f"{model}/{record['version']}", record["memory_mib"])
        for model, record in engines.items()
    ]


def _kill_all(
    paths: Paths,
    operator: Operator,
    engines: dict[str, dict[str, Any]],
    measured: list[Measured],
    kills: int,
    console: Console,
) -> list[Kill]:
    moments = random.Random(1)  # noqa: S311 - the same in every run
    seconds = {each.change: each.seconds[0] for each in measured}
    killer = Killer(operator.var_dir, questions(CATALOGUE, paths.pictures)[:8], _unlike_any_product())
    migrations = round(kills * _MIGRATE_SHARE)
    changes = [operator.migrate()] * migrations
    changes += itertools.islice(itertools.cycle(_publications(operator, engines)), kills - migrations)
    done = []
    for change, victim in zip(changes, itertools.cycle(VICTIMS), strict=False):
        kill = killer.kill_during(change, victim, seconds[change.forward.name], moments)
        console.print(
            f"kill -9 of {victim} {kill.after_s:.1f} s into {kill.change}: serves after {kill.serves_again_s:.1f} s,"
            f" done after {kill.repeats} more, {kill.acknowledged} writes acknowledged, {len(kill.lost)} lost"
        )
        done.append(kill)
    return done


def _unlike_any_product() -> list[bytes]:
    """Patches of colour, each picture its own, so that what is written does not come before what is asked for."""
    draw = np.random.default_rng(0)
    patches = (draw.integers(0, 256, (5, 5, 3), np.uint8) for _ in range(PRODUCTS))
    return [encoded(Image.fromarray(each).resize((160, 160), Image.Resampling.NEAREST)) for each in patches]


def _sentence(found: Measured) -> str:
    allowed = "" if found.memory_allowed_mib is None else f" (told before: {found.memory_allowed_mib:.0f})"
    return (
        f"{found.change}: {found.requests} requests, {found.failed} failed, {found.mixed_space} of a mixed space,"
        f" {found.wrong} wrong; p99 {found.p99_before_ms:.0f} ms before, {found.p99_during_ms:.0f} during; Triton took"
        f" {found.memory_grown_mib:.0f} MiB more{allowed}{''.join(f'; {example}' for example in found.examples)}"
    )


def _int8(engines: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What validation found, beside the FP32 version in one run; recall may rise or fall."""
    detector, embedder = (engines[model]["parity"]["agreement"] for model in (DETECTOR, EMBEDDER))
    return {
        "int8_dot_product": has_int8_dot_product(),
        "detector_speedup": _throughput(engines[DETECTOR]),
        "embedder_speedup": _throughput(engines[EMBEDDER]),
        "detector_f1": detector["f1"],
        "recall_delta": embedder["candidate"]["at_1"] - embedder["serving"]["at_1"],
        "timing": {model: record["latency"]["timing"] for model, record in engines.items()},
    }


def _engines_sentence(found: dict[str, Any]) -> str:
    without = "" if found["int8_dot_product"] else "; this CPU has no dot product of bytes (VNNI), which INT8 lives on"
    return (
        f"INT8 beside FP32: detector {found['detector_speedup']:.2f} times the throughput, F1"
        f" {found['detector_f1']:.3f}; embedder {found['embedder_speedup']:.2f} times, recall@1"
        f" {found['recall_delta']:+.3f}{without}"
    )


def _throughput(record: dict[str, Any]) -> float:
    """Over the serving version's, with the largest batches on one thread, as many callers at once give them."""
    alone = [timing for timing in record["latency"]["timing"] if timing["threads"] == 1]
    return float(max(alone, key=lambda timing: timing["batch"])["speedup"])


def _report(measured: list[Measured], killed: list[Kill], engines: dict[str, dict[str, Any]]) -> dict[str, Any]:
    changes = {}
    for each in measured:
        mine = [kill for kill in killed if kill.change == each.change]
        lost = sum(len(kill.lost) for kill in mine)
        changes[each.change] = asdict(each) | {"kills": len(mine), "lost_writes": lost}
    return {
        "machine": machine(),
        "changes": changes,
        "kills": [asdict(kill) for kill in killed],
        "int8": _int8(engines),
    }
