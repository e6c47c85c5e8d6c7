"""Holds a report against an SLO file: bounds on its figures, most of them ratios, which a busy machine leaves alone."""

import json
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from framelens_perf.critical_path.compare import figure_of


class GateError(Exception):
    """An SLO file or a report that cannot be used."""


class Bound(BaseModel):
    """What a figure must keep."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    figure: str
    at_most: float | None = None
    at_least: float | None = None


class Slo(BaseModel):
    """An SLO file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bounds: Annotated[list[Bound], Field(min_length=1)]


def read_slo(path: Path) -> Slo:
    """Raises GateError."""
    try:
        slo = Slo.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise GateError(f"{path} is no SLO file: {error}") from error
    for bound in slo.bounds:
        if bound.at_most is None and bound.at_least is None:
            raise GateError(f"{path}: {bound.figure} has no bound; give at_most or at_least")
    return slo


def broken(slo: Slo, report: Path) -> list[str]:
    """A sentence for each bound that the report does not keep. Raises GateError, ComparisonError."""
    try:
        found = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GateError(f"{report} is no report: {error}; run `framelens-perf perf` first") from error
    sentences = []
    for bound in slo.bounds:
        value = figure_of(found, bound.figure)
        if bound.at_most is not None and value > bound.at_most:
            sentences.append(f"{bound.figure} is {value:.3g}; at most {bound.at_most:g} is allowed")
        if bound.at_least is not None and value < bound.at_least:
            sentences.append(f"{bound.figure} is {value:.3g}; at least {bound.at_least:g} is needed")
    return sentences
