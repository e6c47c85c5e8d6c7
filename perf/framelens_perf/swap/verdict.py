"""The bars of a swap, and which of them were missed."""

from collections.abc import Sequence
from typing import Any

from framelens_perf.swap.kills import Kill
from framelens_perf.swap.measured import Measured

MOST_P99_DURING_OVER_BEFORE = 2.0
LEAST_DETECTOR_SPEEDUP = 2.3
LEAST_EMBEDDER_SPEEDUP = 1.8
# Of both, on a CPU that multiplies bytes one by one: INT8 is not worth its loss where it is not faster.
LEAST_SPEEDUP_WITHOUT_DOT_PRODUCT = 1.1
LEAST_DETECTOR_F1 = 0.95
MOST_RECALL_LOSS = 0.01


def verdict(measured: Sequence[Measured], killed: Sequence[Kill], int8: dict[str, Any]) -> list[str]:
    """What was missed, one line each."""
    return [
        *(fault for each in measured for fault in _under_load(each)),
        *(f"{len(kill.lost)} writes lost by kill -9 of {kill.victim} in {kill.change}" for kill in killed if kill.lost),
        *_int8(int8),
    ]


def _under_load(found: Measured) -> list[str]:
    counts = {"failed": found.failed, "of a mixed space": found.mixed_space, "wrong": found.wrong}
    faults = [f"{found.change}: {count} answers {what}" for what, count in counts.items() if count]
    if found.memory_allowed_mib is not None and found.memory_grown_mib > found.memory_allowed_mib:
        faults.append(
            f"{found.change}: {found.memory_grown_mib:.0f} MiB more than before (bar {found.memory_allowed_mib:.0f})"
        )
    ratio = found.p99_during_ms / found.p99_before_ms
    if ratio > MOST_P99_DURING_OVER_BEFORE:
        faults.append(f"{found.change}: p99 {ratio:.2f} times that before (bar {MOST_P99_DURING_OVER_BEFORE})")
    return faults


def _int8(found: dict[str, Any]) -> list[str]:
    detector, embedder = LEAST_DETECTOR_SPEEDUP, LEAST_EMBEDDER_SPEEDUP
    if not found["int8_dot_product"]:
        detector = embedder = LEAST_SPEEDUP_WITHOUT_DOT_PRODUCT
    bars = {"detector_speedup": detector, "embedder_speedup": embedder, "detector_f1": LEAST_DETECTOR_F1}
    faults = [f"int8 {name} {found[name]:.3f} (bar {bar})" for name, bar in bars.items() if found[name] < bar]
    if found["recall_delta"] < -MOST_RECALL_LOSS:
        faults.append(f"int8 recall_delta {found['recall_delta']:.3f} (bar -{MOST_RECALL_LOSS})")
    return faults
