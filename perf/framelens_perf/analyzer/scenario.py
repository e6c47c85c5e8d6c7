"""Scenario files: which model is measured, with what input, under which load."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from framelens_perf.analyzer.errors import ScenarioError

PACKAGED = Path(__file__).with_name("scenarios")
RECOGNIZER = "recognizer"
_SUFFIX = ".yaml"

Concurrency = Annotated[int, Field(ge=1, le=512)]
Rate = Annotated[float, Field(gt=0, le=100_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Slo(_Strict):
    """A bound on p99 in ms, and the rates a second between which the largest that keeps it is sought.

    The search ends once that rate is known to `precision`, a share of it.
    """

    p99_ms: float = Field(gt=0)
    lowest: Rate
    highest: Rate
    precision: float = Field(0.1, ge=0.02, le=0.5)

    @model_validator(mode="after")
    def _ordered(self) -> "Slo":
        if self.lowest >= self.highest:
            raise ValueError(f"lowest is {self.lowest:g} and highest {self.highest:g}; make lowest the smaller one")
        return self


class Scenario(_Strict):
    """One model under one kind of load: closed loops of callers, Poisson arrivals, or the search for an SLO's rate."""

    about: str = Field(min_length=1)
    model: str = Field(pattern=r"^(recognizer|detector|embedder_[a-z0-9_]+?)(__candidate)?$")
    # What recognizer embeds with.
    embedder: str = "embedder_effnet_lite0"
    frames: int = Field(32, ge=1, le=1000)
    shared_memory: bool = False
    concurrency: tuple[Concurrency, ...] = ()
    poisson: tuple[Rate, ...] = ()
    slo: Slo | None = None

    @model_validator(mode="after")
    def _one_load(self) -> "Scenario":
        if sum(map(bool, (self.concurrency, self.poisson, self.slo))) != 1:
            raise ValueError("give one of concurrency (callers), poisson (rates a second) and slo")
        return self

    @model_validator(mode="after")
    def _shared_pixels_only(self) -> "Scenario":
        if self.shared_memory and self.takes_pictures:
            raise ValueError("shared_memory is for detector and embedders; recognizer's answers differ in size")
        return self

    @property
    def takes_pictures(self) -> bool:
        """Encoded ones; engines take pixels."""
        return self.model.startswith(RECOGNIZER)


def packaged() -> list[str]:
    """The names of the scenarios that come with this package."""
    return sorted(path.stem for path in PACKAGED.glob(f"*{_SUFFIX}"))


def scenario_path(name: str) -> Path:
    """Of a packaged scenario, or of a file elsewhere. Raises ScenarioError."""
    path = Path(name) if name.endswith(_SUFFIX) else PACKAGED / f"{name}{_SUFFIX}"
    if not path.is_file():
        raise ScenarioError(f"there is no scenario {name}; name a file or one of {', '.join(packaged())}")
    return path


def load(path: Path) -> Scenario:
    """Raises ScenarioError, which names the file and each field that is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ScenarioError(f"{path} is not a list of fields; begin with `model: recognizer`")
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        raise ScenarioError(_faults(path, error.errors(include_url=False))) from error


def _faults(path: Path, details: Sequence[ErrorDetails]) -> str:
    return "\n".join(f"{path}: {_fault(detail)}" for detail in details)


def _fault(detail: ErrorDetails) -> str:
    field = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        return f"{field} is no field of a scenario; take it out, or write one of {', '.join(_fields(detail['loc']))}"
    if detail["type"] == "missing":
        return f"{field} is missing; add it"
    if detail["type"] == "string_pattern_mismatch":
        return f"{field} is {detail['input']!r}; name recognizer, detector or an embedder_..."
    message = detail["msg"].removeprefix("Value error, ")
    return f"{field} is {_shown(detail['input'])}: {message}" if field else message


def _fields(location: tuple[int | str, ...]) -> list[str]:
    return list(Slo.model_fields if location[0] == "slo" else Scenario.model_fields)


def _shown(value: Any) -> str:  # noqa: ANN401
    """A whole section is in the file to read."""
    return "not right" if isinstance(value, dict) else repr(value)
