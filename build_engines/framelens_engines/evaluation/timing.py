"""Latency of two versions on the same inputs, call by call in turn: a machine's speed drifts, and others use it too."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens_engines.evaluation.engines import ALL_CORES, OpenEngine, open_engine
from framelens_engines.evaluation.report import Latency, Timing

THREADS = (1, ALL_CORES)
BATCHES = (1, 8)
_WARM_UP = 2
_MIN_ROUNDS, _MAX_ROUNDS = 10, 60
_SECONDS = 3.0

Clock = Callable[[], float]


def compare_latency(candidate: Path, serving: Path, images: NDArray[np.uint8]) -> tuple[Timing, ...]:
    """Of two version folders, at every thread count and batch; `images` are repeated to fill a batch."""
    timings = []
    for threads in THREADS:
        engines = open_engine(candidate, threads), open_engine(serving, threads)
        batches = [batch for batch in BATCHES if batch <= min(engine.max_batch for engine in engines)]
        timings += [compare(*engines, np.resize(images, (batch, *images.shape[1:])), threads) for batch in batches]
    return tuple(timings)


def compare(
    candidate: OpenEngine,
    serving: OpenEngine,
    images: NDArray[np.uint8],
    threads: int,
    clock: Clock = time.perf_counter,
) -> Timing:
    """Rounds of one call each, the order changing from round to round, for some seconds."""
    spent: tuple[list[float], list[float]] = [], []
    sides = list(zip((candidate, serving), spent, strict=True))
    started = clock()
    for turn in range(_WARM_UP + _MAX_ROUNDS):
        for engine, times in sides if turn % 2 else reversed(sides):
            before = clock()
            engine.infer(images)
            if turn >= _WARM_UP:
                times.append((clock() - before) * 1e3)
        if turn >= _WARM_UP + _MIN_ROUNDS and clock() - started > _SECONDS:
            break
    latencies = [_latency(times, len(images)) for times in spent]
    return Timing(
        threads=threads,
        batch=len(images),
        rounds=len(spent[0]),
        candidate=latencies[0],
        serving=latencies[1],
        speedup=latencies[1].median_ms / latencies[0].median_ms,
    )


def _latency(times_ms: list[float], batch: int) -> Latency:
    median = float(np.median(times_ms))
    return Latency(median_ms=median, p95_ms=float(np.percentile(times_ms, 95)), pictures_per_s=batch / median * 1e3)
