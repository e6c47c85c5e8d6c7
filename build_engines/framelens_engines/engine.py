"""engine.json: where an engine build came from, and the number by which its answers name it."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from framelens_engines.errors import RepositoryError

ENGINE_JSON = "engine.json"
# A build number is a positive int32 in the graph's output.
_BUILD_BITS = 31

Precision = Literal["fp32", "fp16", "int8"]
Target = Literal["onnxruntime", "tensorrt"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Frozen):
    """The file that holds the weights; `package` and `version` are null for a user's own."""

    package: str | None
    version: str | None
    file: str
    sha256: str
    licence: str


class Recipe(_Frozen):
    """All that decides what an engine computes; equal recipes give equal engines."""

    model: str
    source: Source
    precision: Precision
    target: Target
    # What the importer was told or knows by heart, its own revision included: input size, normalisation, box format.
    conversion: dict[str, JsonValue]
    # How it was made from the FP32 engine: calibration pictures; batch profile, builder and GPUs of a plan. Empty for
    # that engine itself.
    optimisation: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def build(self) -> int:
        """The first 31 bits of the recipe's sha256, never 0; file names and licence have no say in it."""
        made = self.conversion | self.optimisation
        identity = [self.model, self.source.sha256, self.precision, self.target, made]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()
        return int.from_bytes(digest[:4], "big") >> (32 - _BUILD_BITS) or 1

    @property
    def weights(self) -> tuple[str, str]:
        """What defines an embedding space: the same in each precision, on each target, by each importer revision."""
        conversion = {key: value for key, value in self.conversion.items() if key != "revision"}
        return self.source.sha256, json.dumps(conversion, sort_keys=True)


class BatchProfile(_Frozen):
    """Batch sizes that an engine was optimised for."""

    minimum: int = Field(ge=1)
    optimum: int = Field(ge=1)
    maximum: int = Field(ge=1)


class EngineRecord(_Frozen):
    """The content of engine.json."""

    model: str
    build: int = Field(gt=0, lt=2**_BUILD_BITS)
    source: Source
    precision: Precision
    target: Target
    conversion: dict[str, JsonValue]
    optimisation: dict[str, JsonValue] = Field(default_factory=dict)
    # Who wrote the engine's file: this room for ONNX, TensorRT for a plan.
    builder: str
    # Compute capabilities that a plan is for, such as 8.9; `8.6+` is that one and all later. Null: it needs no GPU.
    gpu_architecture: tuple[str, ...] | None = None
    batch_profile: BatchProfile | None = None
    # Against the FP32 reference, and milliseconds by batch size; null until measured.
    parity: dict[str, JsonValue] | None = None
    latency: dict[str, JsonValue] | None = None
    memory_mib: float | None = None
    created: datetime
    onnx_sha256: str

    @property
    def passed(self) -> bool:
        """Whether it was validated and kept its thresholds."""
        return self.parity is not None and self.parity.get("passed") is True

    @property
    def recipe(self) -> Recipe:
        return Recipe.model_validate(self.model_dump(include=set(Recipe.model_fields)))


def new_record(
    recipe: Recipe,
    builder: str,
    onnx_sha256: str,
    profile: BatchProfile | None = None,
    gpus: tuple[str, ...] | None = None,
) -> EngineRecord:
    return EngineRecord(
        **recipe.model_dump(),
        build=recipe.build,
        builder=builder,
        gpu_architecture=gpus,
        batch_profile=profile,
        created=datetime.now(UTC).replace(microsecond=0),
        onnx_sha256=onnx_sha256,
    )


def read_record(path: Path) -> EngineRecord:
    """Raises RepositoryError if the file is not a complete engine.json."""
    try:
        return EngineRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        advice = "delete that version and build it again"
        raise RepositoryError(f"{path} is not a usable engine.json: {error}; {advice}") from error
