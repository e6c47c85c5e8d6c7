"""A version against the FP32 reference and beside the serving one, on the evaluation pictures."""

import platform
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens_engines.evaluation.crops import evaluation_crops
from framelens_engines.evaluation.detector_agreement import detector_agreement, look
from framelens_engines.evaluation.embedder_agreement import Vectors, embed, embedder_agreement
from framelens_engines.evaluation.engines import OpenEngine, open_engine
from framelens_engines.evaluation.golden import GOLDEN_QUERIES, Golden, write_golden
from framelens_engines.evaluation.pictures import EvaluationPictures, read_pictures
from framelens_engines.evaluation.report import DetectorAgreement, EmbedderAgreement, PictureSet, Report
from framelens_engines.evaluation.session_memory import measure_memory
from framelens_engines.evaluation.thresholds import (
    DetectorThresholds,
    EmbedderThresholds,
    detector_failures,
    embedder_failures,
)
from framelens_engines.evaluation.timing import compare_latency
from framelens_engines.model_config import DetectorShape, EmbedderShape
from framelens_engines.progress import Reporter
from framelens_triton.images.decode import Limits, decode
from framelens_triton.images.resize import frame_to_input


def evaluate(
    candidate: Path,
    reference: Path,
    serving: Path | None,
    pictures: Path,
    reporter: Reporter,
    index_vectors: Vectors | None = None,
) -> Report:
    """Version folders; without a serving one the reference stands for it. Leaves golden queries in the candidate's.

    Raises EngineError.
    """
    engines = _Engines(open_engine(candidate), open_engine(reference), open_engine(serving or reference))
    read = read_pictures(pictures)
    reporter.say(f"{engines.candidate.name}: comparing with {engines.reference.name} on {len(read.originals)} pictures")
    agreement, failures, thresholds = engines.compare(read, index_vectors)
    reporter.say(f"{engines.candidate.name}: measuring beside {engines.serving.name}")
    inputs = _inputs(read, engines.candidate)
    timing = compare_latency(candidate, engines.serving.folder, inputs)
    memory = measure_memory(engines.candidate)
    write_golden(candidate, Golden(inputs, engines.candidate.infer(inputs)))
    return Report(
        candidate=engines.candidate.name,
        build=engines.candidate.record.build,
        reference=engines.reference.name,
        reference_build=engines.reference.record.build,
        serving=engines.serving.name,
        serving_build=engines.serving.record.build,
        machine=f"{platform.machine()}, {platform.processor() or 'CPU'}",
        pictures=PictureSet(
            folder=read.folder.name, count=len(read.originals), sha256=read.sha256, skipped=read.skipped
        ),
        agreement=agreement,
        timing=timing,
        memory=memory,
        thresholds=thresholds,
        failures=tuple(failures),
    )


class _Engines:
    """The three that are compared."""

    def __init__(self, candidate: OpenEngine, reference: OpenEngine, serving: OpenEngine) -> None:
        self.candidate, self.reference, self.serving = candidate, reference, serving

    def compare(
        self, pictures: EvaluationPictures, index_vectors: Vectors | None
    ) -> tuple[DetectorAgreement | EmbedderAgreement, list[str], dict[str, float]]:
        """The agreement, the thresholds that it did not keep, and all that there are."""
        if isinstance(self.candidate.shape, DetectorShape):
            kept = DetectorThresholds()
            found = detector_agreement(look(pictures, self.reference, self.candidate), pictures.labels)
            return found, detector_failures(found, kept), kept.model_dump()
        return self._compare_embedders(pictures, self.candidate.shape, index_vectors)

    def _compare_embedders(
        self, pictures: EvaluationPictures, shape: EmbedderShape, index_vectors: Vectors | None
    ) -> tuple[EmbedderAgreement, list[str], dict[str, float]]:
        embedded = embed(evaluation_crops(pictures, shape), [self.reference, self.candidate, self.serving])
        kept = EmbedderThresholds()
        reference, candidate, serving = embedded.vectors
        found = embedder_agreement(embedded, reference, candidate, serving, index_vectors)
        return found, embedder_failures(found, kept), kept.model_dump()


def _inputs(pictures: EvaluationPictures, engine: OpenEngine) -> NDArray[np.uint8]:
    """Golden queries: whole pictures, evenly spread over the set."""
    shape, originals = engine.shape, pictures.originals
    chosen = [originals[len(originals) * index // GOLDEN_QUERIES] for index in range(GOLDEN_QUERIES)]
    frames = (decode(frame.data, Limits()).pixels for frame in chosen)
    return np.stack([frame_to_input(frame, shape.height, shape.width, shape.fit)[0] for frame in frames])
