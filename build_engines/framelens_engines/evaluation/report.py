"""What is known of an engine version after validation: how near it is to the reference, how fast, how large."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PictureSet(_Frozen):
    """The evaluation pictures; `sha256` tells whether two versions were measured on the same."""

    folder: str
    count: int
    sha256: str
    skipped: dict[str, str]


class LabelAgreement(_Frozen):
    """Objects of one label: found by the reference, by the candidate, and by both."""

    reference: int
    candidate: int
    matched: int


class PictureDifference(_Frozen):
    """What the candidate missed or found too much in one picture, told as `label score`, and the largest shift."""

    picture: str
    missed: tuple[str, ...]
    extra: tuple[str, ...]
    max_score_shift: float


class MeanAveragePrecision(_Frozen):
    """Of both engines against people's labels; COCO's, over the labels that occur."""

    labelled_objects: int
    reference_at_50: float
    candidate_at_50: float
    reference_at_50_95: float
    candidate_at_50_95: float


class DetectorAgreement(_Frozen):
    """Objects after NMS at `min_score`, matched at IoU .5 with the same label; null where there is nothing to divide.

    `borderline` counts those of the unmatched whose twin is there with a score closely under `min_score`.
    """

    kind: Literal["detector"] = "detector"
    frames: int
    min_score: float
    reference_objects: int
    candidate_objects: int
    matched: int
    borderline: int
    precision: float | None
    recall: float | None
    f1: float | None
    mean_iou: float | None
    p5_iou: float | None
    min_iou: float | None
    mean_score_shift: float | None
    p95_score_shift: float | None
    max_score_shift: float | None
    labels: dict[str, LabelAgreement]
    worst: tuple[PictureDifference, ...]
    mean_average_precision: MeanAveragePrecision | None


class Recall(_Frozen):
    """Shares of the queries whose own crop is the first match, and among the first five."""

    at_1: float
    at_5: float


class EmbedderAgreement(_Frozen):
    """Vectors of the same crops by candidate and reference, and searches among vectors of the serving version.

    `overlap_at_5` is the share of the serving version's first five matches that are among the candidate's. The gallery
    holds the crops of the pictures and, where they are given, `index_vectors` of a real index.
    """

    kind: Literal["embedder"] = "embedder"
    crops: int
    mean_cosine: float
    p1_cosine: float
    min_cosine: float
    least_alike: tuple[str, ...]
    queries: int
    gallery: int
    index_vectors: int
    candidate: Recall
    serving: Recall
    overlap_at_5: float
    lost: tuple[str, ...]

    @property
    def recall_loss(self) -> float:
        """At 1; negative where the candidate finds more."""
        return self.serving.at_1 - self.candidate.at_1


class Latency(_Frozen):
    """Of one call with a whole batch."""

    median_ms: float
    p95_ms: float
    pictures_per_s: float


class Timing(_Frozen):
    """Both versions in one run, call by call in turn; threads 0 is one on each core. `speedup` is of the medians."""

    threads: int
    batch: int
    rounds: int
    candidate: Latency
    serving: Latency
    speedup: float


class Memory(_Frozen):
    """Of one loaded copy in a process of its own, in MiB of resident memory above the process without it.

    `load_peak` while it loads, `loaded` afterwards, `working` when it has answered a batch of `batch` pictures.
    """

    load_peak_mib: float
    loaded_mib: float
    working_mib: float
    batch: int

    @property
    def peak_mib(self) -> float:
        return max(self.load_peak_mib, self.working_mib)


class Report(_Frozen):
    """Versions are named MODEL/NUMBER; `failures` are the thresholds that were not kept, in sentences."""

    candidate: str
    build: int
    reference: str
    reference_build: int
    serving: str
    serving_build: int
    machine: str
    pictures: PictureSet
    agreement: DetectorAgreement | EmbedderAgreement
    timing: tuple[Timing, ...]
    memory: Memory
    thresholds: dict[str, float]
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.failures

    def parity(self) -> dict[str, JsonValue]:
        """For `parity` of engine.json; `passed` and `failures` come first."""
        verdict: dict[str, Any] = {"passed": self.passed, "failures": list(self.failures)}
        return verdict | self.model_dump(mode="json", exclude={"failures", "timing", "memory", "machine"})

    def latency(self) -> dict[str, JsonValue]:
        """For `latency` of engine.json."""
        return self.model_dump(mode="json", include={"serving", "serving_build", "machine", "timing"})
