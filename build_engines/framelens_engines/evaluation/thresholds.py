"""What a version must keep to be published; the one place where validation reads the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from framelens_engines.evaluation.report import DetectorAgreement, EmbedderAgreement


class DetectorThresholds(BaseSettings):
    """FRAMELENS_ENGINES_DETECTOR_..., against the FP32 reference."""

    model_config = SettingsConfigDict(env_prefix="FRAMELENS_ENGINES_DETECTOR_", frozen=True)

    min_f1: float = Field(0.95, ge=0, le=1, description="objects that both show, at IoU .5 with the same label")
    # Callers filter by score: with more than this, their filters mean another thing.
    max_mean_score_shift: float = Field(0.04, ge=0, le=1)
    # INT8 has .06; an engine that is given BGR for RGB still finds most objects, and has .2.
    max_p95_score_shift: float = Field(0.12, ge=0, le=1, description="of all but the worst 5 % of objects")
    max_map_loss: float = Field(0.02, ge=0, le=1, description="of mAP at IoU .5, where people labelled the pictures")


class EmbedderThresholds(BaseSettings):
    """FRAMELENS_ENGINES_EMBEDDER_..., cosines against the FP32 reference, recall against the serving version."""

    model_config = SettingsConfigDict(env_prefix="FRAMELENS_ENGINES_EMBEDDER_", frozen=True)

    # Unrelated pictures have about .2; INT8 with nothing put right had .989 in the mean.
    min_mean_cosine: float = Field(0.98, ge=-1, le=1)
    min_p1_cosine: float = Field(0.95, ge=-1, le=1, description="of all but the worst 1 % of crops")
    max_recall_loss: float = Field(0.01, ge=0, le=1, description="of recall@1 among the serving version's vectors")


def detector_failures(found: DetectorAgreement, kept: DetectorThresholds) -> list[str]:
    """Which thresholds were not kept, in sentences."""
    if found.f1 is None:
        return ["neither engine shows an object in any evaluation picture; validate with pictures of what it detects"]
    failures = []
    if found.f1 < kept.min_f1:
        failures.append(f"F1 {found.f1:.3f} is under {kept.min_f1}")
    if found.mean_score_shift is not None and found.mean_score_shift > kept.max_mean_score_shift:
        failures.append(f"the mean score shift {found.mean_score_shift:.3f} is over {kept.max_mean_score_shift}")
    if found.p95_score_shift is not None and found.p95_score_shift > kept.max_p95_score_shift:
        failures.append(
            f"the score shift of the worst 5 % of objects is {found.p95_score_shift:.3f}, over"
            f" {kept.max_p95_score_shift}"
        )
    people = found.mean_average_precision
    if people is not None and people.reference_at_50 - people.candidate_at_50 > kept.max_map_loss:
        failures.append(
            f"mAP@.5 is {people.candidate_at_50:.3f} and the reference's {people.reference_at_50:.3f}: a loss of more"
            f" than {kept.max_map_loss}"
        )
    return failures


def embedder_failures(found: EmbedderAgreement, kept: EmbedderThresholds) -> list[str]:
    """Which thresholds were not kept, in sentences."""
    failures = []
    if found.mean_cosine < kept.min_mean_cosine:
        failures.append(f"the mean cosine {found.mean_cosine:.4f} is under {kept.min_mean_cosine}")
    if found.p1_cosine < kept.min_p1_cosine:
        failures.append(f"the cosine of the worst 1 % of crops is {found.p1_cosine:.4f}, under {kept.min_p1_cosine}")
    if found.recall_loss > kept.max_recall_loss:
        failures.append(
            f"recall@1 is {found.candidate.at_1:.3f} and the serving version's {found.serving.at_1:.3f}: a loss of more"
            f" than {kept.max_recall_loss}"
        )
    return failures
