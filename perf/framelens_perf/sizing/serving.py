"""FrameLens as stations of a simulation: gateways, recognizer and its engines, searches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from framelens_perf.sizing.assumptions import Assumptions
from framelens_perf.sizing.catalog_search import MOST_VECTORS, LiteSearch, MilvusSearch
from framelens_perf.sizing.costs import Costs
from framelens_perf.sizing.events import Cores, Process, Resume, Simulation, Station, start
from framelens_perf.sizing.frames import Frame

# As in model_repository, of one machine: instances of recognizer, its max_batch_size, and its engines'.
RECOGNIZERS, _MOST_FRAMES, _MOST_PICTURES = 2, 16, 32


@dataclass(frozen=True)
class Parts:
    """What there is of everything; with GPUs, engines run on those."""

    cores: int
    gateways: int = 1
    gpus: int = 0
    milvus_cores: int = 0

    def machines(self, costs: Costs) -> int:
        """Instances grow in proportion: as many for each so many cores as there were when it was measured."""
        return math.ceil(self.cores / costs.cores)


class Serving:
    """Answers frames; everything of one machine shares its cores."""

    def __init__(self, parts: Parts, costs: Costs, search: LiteSearch | MilvusSearch, assumed: Assumptions) -> None:
        self._costs, self._search, self._assumed = costs, search, assumed
        self._simulation = Simulation()
        self._cores = Cores(self._simulation, parts.cores, costs.all_busy, costs.cores)
        self._gpus = Cores(self._simulation, parts.gpus) if parts.gpus else None
        machines = parts.machines(costs)
        engines = parts.gpus or machines
        self._recognizer = Station(self._recognize, RECOGNIZERS * machines, _MOST_FRAMES)
        self._detector = Station(self._detect, engines, _MOST_PICTURES)
        self._embedder = Station(self._embed, engines, _MOST_PICTURES)
        self._gateways = [Station(self._route, servers=1) for _ in range(parts.gateways)]
        # One call in flight for each gateway; Milvus Lite, one process of Python, answers one at a time.
        self._mergers = [Station(self._merged, 1, MOST_VECTORS) for _ in range(parts.gateways)]
        self._lite = Station(self._search_lite, servers=1)
        self._milvus = Cores(self._simulation, max(1, parts.milvus_cores))
        self._milvus_cores = parts.milvus_cores

    def latencies_ms(self, asked: Sequence[Frame], most_late: tuple[float, int] | None = None) -> list[float]:
        """In the order of the frames.

        `most_late` is a latency in ms and how many may be above it; once more are, the rest counts as endless.
        """
        latencies = [math.inf] * len(asked)
        bound_ms, left = most_late or (math.inf, 0)

        def answered(number: int, frame: Frame) -> Resume:
            def note() -> None:
                nonlocal left
                latencies[number] = self._simulation.now - frame.at_ms
                left -= latencies[number] > bound_ms
                self._simulation.stopped = left < 0

            return note

        for number, frame in enumerate(asked):
            self._simulation.at(frame.at_ms, self._arrival(frame, number, answered(number, frame)))
        self._simulation.run()
        return latencies

    def _arrival(self, frame: Frame, number: int, then: Resume) -> Resume:
        return lambda: start(self._answer(frame, number % len(self._gateways)), then)

    def _answer(self, frame: Frame, number: int) -> Process:
        gateway = self._gateways[number]
        yield gateway.ask(frame)
        if not frame.hot:
            yield self._cores.work(self._costs.triton_ms)
            yield self._recognizer.ask(frame)
            if frame.objects:
                yield self._mergers[number].ask(frame, frame.objects)
        yield gateway.ask(frame)

    def _route(self, _: Sequence[Frame]) -> Process:
        """A gateway works before the recognition and after the search; half of its time each, as nobody measured."""
        yield self._cores.work(self._costs.gateway_ms / 2)

    def _recognize(self, batch: Sequence[Frame]) -> Process:
        costs, threads = self._costs, min(len(batch), self._costs.cores)
        whole = sum(not frame.region for frame in batch)
        objects = sum(frame.objects for frame in batch)
        yield self._cores.work(len(batch) * costs.decode_ms + whole * costs.resize_ms, threads)
        if whole:
            yield self._detector.ask(whole, whole)
        if objects:
            yield self._cores.work(whole * costs.nms_ms + objects * costs.crop_ms, threads)
            yield self._embedder.ask(objects, objects)

    def _detect(self, calls: Sequence[int]) -> Process:
        costs, assumed = self._costs, self._assumed
        yield from self._engine(sum(calls), costs.detect_ms, costs.detect_threads, assumed.gpu_detect_ms)

    def _embed(self, calls: Sequence[int]) -> Process:
        costs, assumed = self._costs, self._assumed
        yield from self._engine(sum(calls), costs.embed_ms, costs.embed_threads, assumed.gpu_embed_ms)

    def _engine(self, pictures: int, core_ms: float, threads: float, gpu_ms: float) -> Process:
        """On a CPU a batch takes as long as its pictures one by one; on a GPU calling it has a price of its own."""
        if self._gpus is None:
            yield self._cores.work(pictures * core_ms, threads)
        else:
            yield self._gpus.work(self._assumed.gpu_call_ms + pictures * gpu_ms)

    def _merged(self, batch: Sequence[Frame]) -> Process:
        vectors = sum(frame.objects for frame in batch)
        if isinstance(self._search, LiteSearch):
            yield self._lite.ask(vectors)
            return
        yield self._simulation.delay(self._search.call_ms)
        threads = min(vectors * self._search.segments, self._milvus_cores)
        yield self._milvus.work(vectors * self._search.query_ms, threads)

    def _search_lite(self, vectors: Sequence[int]) -> Process:
        if isinstance(self._search, LiteSearch):
            yield self._cores.work(self._search.core_ms(sum(vectors)))
