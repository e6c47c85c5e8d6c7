"""What boxes without a name cost, in CPU time: a machine that others use too tells that better than the clock."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from framelens_perf.in_process import DETECTOR, EMBEDDER, in_process_recognizer
from framelens_perf.unnamed.scenes import Scene
from framelens_triton.recognition import Request

_WARM_UP = 4


@dataclass(frozen=True)
class Price:
    """Medians over frames, of all stages of the recognizer in one process."""

    labels_cpu_ms: float
    added_cpu_ms: float
    # How many boxes a frame had, on average: seldom as many as are allowed.
    boxes: float


def measure_price(model_repository: Path, scenes: Sequence[Scene], boxes: int) -> Price:
    """Each frame with labels alone and with both, by turns."""
    with closing(in_process_recognizer(model_repository, (DETECTOR, EMBEDDER), threads=1)) as recognizer:

        def found(scene: Scene, unnamed: int) -> int:
            (result,), _ = recognizer.recognize([Request(scene.picture, DETECTOR, EMBEDDER, unnamed=unnamed)])
            return len(result.objects)

        labels, added, counts = [], [], []
        for turn, scene in enumerate([*scenes[:_WARM_UP], *scenes]):
            named, named_ms = _timed(lambda: found(scene, 0))  # noqa: B023 - called at once
            both, both_ms = _timed(lambda: found(scene, boxes))  # noqa: B023
            if turn >= _WARM_UP:
                labels.append(named_ms)
                added.append(both_ms - named_ms)
                counts.append(both - named)
    return Price(statistics.median(labels), statistics.median(added), statistics.fmean(counts))


def _timed(work: Callable[[], int]) -> tuple[int, float]:
    """Its result, and the milliseconds of CPU that this process used."""
    started = time.process_time()
    result = work()
    return result, (time.process_time() - started) * 1e3
