"""How far two detectors find the same objects."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from framelens_engines.evaluation.average_precision import mean_average_precision
from framelens_engines.evaluation.detections import Objects, find_objects, match
from framelens_engines.evaluation.engines import OpenEngine
from framelens_engines.evaluation.pictures import EvaluationPictures, Labels
from framelens_engines.evaluation.report import (
    DetectorAgreement,
    LabelAgreement,
    MeanAveragePrecision,
    PictureDifference,
)
from framelens_engines.model_config import DetectorShape
from framelens_triton.recognition import Request

SAME_OBJECT_IOU = 0.5
# An object that one engine shows and the other has this closely under the score at which it would be shown.
_BORDERLINE = 0.05
_WORST_PICTURES = 5


@dataclass(frozen=True)
class SeenByBoth:
    """A frame's objects, by reference and by candidate."""

    frame: str
    reference: Objects
    candidate: Objects


@dataclass
class _Tally:
    """What is summed over frames."""

    reference: Counter[str] = field(default_factory=Counter)
    candidate: Counter[str] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    ious: list[float] = field(default_factory=list)
    shifts: list[float] = field(default_factory=list)
    differences: list[PictureDifference] = field(default_factory=list)
    borderline: int = 0


def look(pictures: EvaluationPictures, reference: OpenEngine, candidate: OpenEngine) -> list[SeenByBoth]:
    """Every evaluation frame through both engines."""
    shape = reference.shape
    if not isinstance(shape, DetectorShape):
        raise TypeError(f"{reference.name} is no detector")
    found = find_objects(pictures.frames(), [reference, candidate], shape)
    return [SeenByBoth(name, *objects) for name, objects in found]


def detector_agreement(seen: list[SeenByBoth], labels: Labels | None) -> DetectorAgreement:
    tally = _Tally()
    for frame in seen:
        _add(tally, frame, Request.min_score)
    reference, candidate, matched = tally.reference.total(), tally.candidate.total(), tally.matched.total()
    return DetectorAgreement(
        frames=len(seen),
        min_score=Request.min_score,
        reference_objects=reference,
        candidate_objects=candidate,
        matched=matched,
        borderline=tally.borderline,
        precision=_share(matched, candidate),
        recall=_share(matched, reference),
        f1=_share(2 * matched, reference + candidate),
        mean_iou=_mean(tally.ious),
        p5_iou=_percentile(tally.ious, 5),
        min_iou=min(tally.ious, default=None),
        mean_score_shift=_mean(tally.shifts),
        p95_score_shift=_percentile(tally.shifts, 95),
        max_score_shift=max(tally.shifts, default=None),
        labels={
            label: LabelAgreement(
                reference=tally.reference[label], candidate=tally.candidate[label], matched=tally.matched[label]
            )
            for label in sorted(tally.reference | tally.candidate)
        },
        worst=tuple(sorted(tally.differences, key=_badness, reverse=True)[:_WORST_PICTURES]),
        mean_average_precision=None if labels is None else _against_people(seen, labels),
    )


def _add(tally: _Tally, frame: SeenByBoth, min_score: float) -> None:
    reference, candidate = frame.reference.above(min_score), frame.candidate.above(min_score)
    matches = match(reference, candidate, SAME_OBJECT_IOU)
    shifts = [abs(float(candidate.scores[m.candidate] - reference.scores[m.reference])) for m in matches]
    missed = sorted(set(range(len(reference))) - {m.reference for m in matches})
    extra = sorted(set(range(len(candidate))) - {m.candidate for m in matches})
    tally.reference.update(reference.labels)
    tally.candidate.update(candidate.labels)
    tally.matched.update(candidate.labels[m.candidate] for m in matches)
    tally.ious += [m.iou for m in matches]
    tally.shifts += shifts
    tally.borderline += _borderline(reference, missed, frame.candidate, min_score)
    tally.borderline += _borderline(candidate, extra, frame.reference, min_score)
    tally.differences.append(
        PictureDifference(
            picture=frame.frame,
            missed=tuple(_told(reference, row) for row in missed),
            extra=tuple(_told(candidate, row) for row in extra),
            max_score_shift=max(shifts, default=0.0),
        )
    )


def _borderline(objects: Objects, rows: list[int], others: Objects, min_score: float) -> int:
    """How many of the rows the other engine has, with a score closely under the one it takes to be shown."""
    some = Objects(objects.boxes[rows], objects.scores[rows], tuple(objects.labels[row] for row in rows))
    shown = len(others.above(min_score))
    twins = match(some, others.above(min_score - _BORDERLINE), SAME_OBJECT_IOU)
    return sum(twin.candidate >= shown for twin in twins)


def _against_people(seen: list[SeenByBoth], labels: Labels) -> MeanAveragePrecision:
    """On the originals: labels are of these."""
    labelled = [frame for frame in seen if frame.frame in labels]
    truth = [labels[frame.frame] for frame in labelled]
    reference = mean_average_precision(truth, [frame.reference for frame in labelled])
    candidate = mean_average_precision(truth, [frame.candidate for frame in labelled])
    return MeanAveragePrecision(
        labelled_objects=sum(map(len, truth)),
        reference_at_50=reference.at_50,
        candidate_at_50=candidate.at_50,
        reference_at_50_95=reference.at_50_95,
        candidate_at_50_95=candidate.at_50_95,
    )


def _told(objects: Objects, row: int) -> str:
    return f"{objects.labels[row]} {objects.scores[row]:.2f}"


def _badness(difference: PictureDifference) -> tuple[int, float]:
    return len(difference.missed) + len(difference.extra), difference.max_score_shift


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _percentile(values: list[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None
