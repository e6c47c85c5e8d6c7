"""The parts of a report.json that sizing reads."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from framelens_perf.sizing.failures import ReportUnusable

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Machine(BaseModel):
    """Where it was measured."""

    processor: str = ""
    cores: Count


class Stages(BaseModel):
    """Milliseconds of one frame."""

    decode: Positive
    resize: Positive
    detect: Positive
    nms: NotNegative
    crop: Positive
    embed: Positive

    @property
    def total(self) -> float:
        return self.decode + self.resize + self.detect + self.nms + self.crop + self.embed


class ServedStages(Stages):
    """`queue` is Triton's queue and the way there and back."""

    queue: NotNegative


class Alone(BaseModel):
    """One call at a time."""

    stages_in_process_ms: Positive
    gateway_added_ms: Positive
    search_ms: Positive
    stages_ms: ServedStages


class Saturated(BaseModel):
    """Callers who never pause, and the same work in one process for each core."""

    rate: Positive
    one_core_ms: Positive
    one_core_stages_ms: Stages
    all_cores_rate: Positive


class ModelStatistics(BaseModel):
    """As Triton counts."""

    requests: Count
    mean_batch: Positive


class Percentiles(BaseModel):
    """Latency in ms."""

    p50: Positive
    p99: Positive


class Load(BaseModel):
    """A run of Poisson arrivals."""

    share: Positive
    offered_rate: Positive
    codes: dict[str, Count]
    latency_ms: Percentiles
    honest: bool
    triton: dict[str, ModelStatistics]

    @property
    def requests(self) -> int:
        return sum(self.codes.values())


class Report(BaseModel):
    """A run of `make perf`."""

    time: str = ""
    machine: Machine
    precision: str = ""
    products: Count
    alone: Alone
    saturated: Saturated
    curve: Annotated[list[Load], Field(min_length=1)]


def read_report(path: Path) -> Report:
    """Raises ReportUnusable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportUnusable(f"{path} is no report: {error}; run `make perf` first") from error
    try:
        return Report.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole of it"
        raise ReportUnusable(
            f"{path} does not say what sizing needs: {where}: {first['msg']}; run `make perf` again for a whole report"
        ) from error
