"""The limit: the same pictures through the same engines in one process on one core, with nothing in between."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from framelens_perf.in_process import DETECTOR, in_process_recognizer
from framelens_triton.recognition import STAGES, Request

Vectors = npt.NDArray[np.float32]

SEARCH = "search"
LIMIT_STAGES = (*STAGES, SEARCH)
_TOP_K = 10


@dataclass(frozen=True)
class Engines:
    """A model repository, and the models of it that recognise."""

    repository: Path
    embedder: str
    detector: str = DETECTOR


@dataclass(frozen=True)
class Work:
    """How long one frame took on one core, in ms by stage, search included."""

    stages_ms: dict[str, float]

    @property
    def recognition_ms(self) -> float:
        return sum(self.stages_ms[stage] for stage in STAGES)

    @property
    def total_ms(self) -> float:
        return sum(self.stages_ms.values())


class Limit:
    """A process pinned to each core; `alone` uses the first, `together` all of them at once."""

    def __init__(self, engines: Engines, products: int) -> None:
        self._exits = ExitStack()
        self._cores = [
            self._exits.enter_context(
                ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(core, engines, products))
            )
            for core in sorted(os.sched_getaffinity(0))
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    @property
    def cores(self) -> int:
        return len(self._cores)

    def warm_up(self, frame: bytes) -> None:
        """Starts every process, and lets its engines and vectors come into memory."""
        for started in [core.submit(_work, [frame] * 2) for core in self._cores]:
            started.result()

    def alone(self, frames: Sequence[bytes]) -> list[Work]:
        return self._cores[0].submit(_work, frames).result()

    def together(self, frames: Sequence[bytes]) -> float:
        """Frames a second of all cores, each on frames of its own."""
        started = time.perf_counter()
        running: list[Future[list[Work]]] = [core.submit(_work, frames) for core in self._cores]
        for each in running:
            each.result()
        return len(frames) * len(running) / (time.perf_counter() - started)


class _Pipeline:
    """All stages, and an exact search over as many vectors as the index holds."""

    def __init__(self, engines: Engines, products: int) -> None:
        self._engines = engines
        self._recognizer = in_process_recognizer(engines.repository, (engines.detector, engines.embedder), threads=1)
        self._products = products
        self._vectors: Vectors | None = None

    def work(self, frame: bytes) -> Work:
        (recognition,), clock = self._recognizer.recognize(
            [Request(frame, self._engines.detector, self._engines.embedder)]
        )
        started = time.perf_counter()
        for found in recognition.objects:
            if found.embedding is not None:
                self._search(found.embedding)
        return Work({**clock.stages_ms, SEARCH: (time.perf_counter() - started) * 1e3})

    def _search(self, vector: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        if self._vectors is None:
            self._vectors = _unit_vectors(self._products, vector.size)
        scores = self._vectors @ vector
        best = np.argpartition(scores, -_TOP_K)[-_TOP_K:]
        return best[np.argsort(-scores[best])]


def _unit_vectors(count: int, size: int) -> Vectors:
    drawn = np.random.default_rng(0).standard_normal((count, size), np.float32)
    unit: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


# Of a pool's process, from its first call to its end.
_pipeline: _Pipeline


def _begin(core: int, engines: Engines, products: int) -> None:
    global _pipeline
    os.sched_setaffinity(0, {core})
    _pipeline = _Pipeline(engines, products)


def _work(frames: Sequence[bytes]) -> list[Work]:
    return [_pipeline.work(frame) for frame in frames]
