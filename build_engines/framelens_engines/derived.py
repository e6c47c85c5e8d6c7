"""Faster engines from a model's FP32 one: INT8 and FP16 for ONNX Runtime, and plans for TensorRT."""

from dataclasses import dataclass
from pathlib import Path

import onnx
from pydantic import JsonValue

from framelens_engines.build import Plan
from framelens_engines.calibration import calibration_inputs, digest
from framelens_engines.contract import with_build
from framelens_engines.engine import Precision, Target
from framelens_engines.errors import RepositoryError
from framelens_engines.fp16 import halved
from framelens_engines.int8 import quantised
from framelens_engines.model_config import read_shape
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion
from framelens_engines.store import EngineStore
from framelens_engines.tensorrt.flavour import installed_flavour
from framelens_engines.tensorrt.options import PlanOptions
from framelens_engines.tensorrt.plan import PlanBuilder

# Raise it when quantising or halving computes something else than before.
_REVISION = 4
# Convolutions that stay in FP32, by measurement on the default models: the first block. The detector's F1 is .955 with
# it and .930 without; the embedder's mean cosine .996 and .990 with its first convolution alone.
_LEFT_ALONE = 3


@dataclass(frozen=True)
class Wanted:
    """What an engine is to be; `options` for TensorRT only."""

    precision: Precision
    target: Target
    options: PlanOptions | None = None


def reference(store: EngineStore, model: str) -> EngineVersion:
    """The newest FP32 engine of a model for ONNX Runtime: what others are made from and measured against."""
    versions = [v for v in store.versions(model) if (v.record.precision, v.record.target) == ("fp32", "onnxruntime")]
    if not versions:
        raise RepositoryError(f"{model} has no FP32 engine for ONNX Runtime to start from; build or import that first")
    return versions[-1]


def derived_plan(
    store: EngineStore, model: str, wanted: Wanted, pictures: Path | None, cache: Path, reporter: Reporter
) -> Plan:
    """How `wanted` is made from the model's FP32 engine; INT8 is calibrated with `pictures`, or with public ones."""
    source = reference(store, model)
    shape = read_shape(source.folder.parent)
    inputs = calibration_inputs(shape, pictures, cache, reporter) if wanted.precision == "int8" else None
    optimisation: dict[str, JsonValue] = {"revision": _REVISION}
    if inputs is not None:
        optimisation["calibration"] = digest(inputs)
    builder = None if wanted.options is None else PlanBuilder(installed_flavour(), wanted.options)
    if builder is not None:
        optimisation |= builder.decisions()
    recipe = source.record.recipe.model_copy(
        update={"precision": wanted.precision, "target": wanted.target, "optimisation": optimisation}
    )

    def convert() -> onnx.ModelProto:
        graph = with_build(onnx.load(source.engine), recipe.build)
        if inputs is not None:
            symmetric = wanted.target == "tensorrt"
            return quantised(graph, inputs, reporter, left_alone=_LEFT_ALONE, symmetric=symmetric)
        return halved(graph) if wanted.precision == "fp16" else graph

    return Plan(recipe, shape, convert, builder)
