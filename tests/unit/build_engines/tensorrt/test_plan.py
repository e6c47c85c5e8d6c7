"""Real plans of both default models, ahead of time, without a GPU."""

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner, Result

from framelens_engines.cli import cli
from framelens_engines.engine import BatchProfile
from framelens_engines.errors import ConversionError
from framelens_engines.repository import EngineVersion
from framelens_engines.tensorrt.flavour import installed_flavour
from framelens_engines.tensorrt.layers import LayerReport
from framelens_engines.tensorrt.options import PlanOptions
from framelens_engines.tensorrt.plan import PlanBuilder
from framelens_triton.plan_record import PlanMismatch, check_plan

# Convolutions; the first block of both stays in FP32 when the others are quantised.
COMPUTED_IN = {
    ("detector", "fp32"): {"FLOAT": 76},
    ("detector", "fp16"): {"HALF": 76},
    ("detector", "int8"): {"INT8": 73, "FLOAT": 3},
    ("embedder_effnet_lite0", "fp32"): {"FLOAT": 49},
    ("embedder_effnet_lite0", "fp16"): {"HALF": 49},
    ("embedder_effnet_lite0", "int8"): {"INT8": 46, "FLOAT": 3},
}
BUILDER = {"builder": "tensorrt_rtx", "builder_version": "1.7.1.116"}


@pytest.fixture(scope="module")
def repository(default_engines: dict[str, EngineVersion], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With both default models in FP32 for ONNX Runtime."""
    root = tmp_path_factory.mktemp("plans") / "model_repository"
    shutil.copytree(default_engines["detector"].folder.parents[1], root)
    return root


@pytest.fixture(scope="module")
def few_pictures(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One to calibrate with: the plan is what is looked at here, and not what it finds."""
    folder = tmp_path_factory.mktemp("calibration")
    shutil.copy(samples / "coffee.png", folder)
    return folder


def _build(repository: Path, wheels: Path, model: str, *options: object) -> Result:
    arguments = ["build", model, "--target", "tensorrt", "--repository", repository, "--cache", wheels, *options]
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize("model", ["detector", "embedder_effnet_lite0"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_plan_is_built_and_its_record_says_for_what(
    repository: Path, wheels: Path, few_pictures: Path, model: str, precision: str
) -> None:
    options = ("--precision", precision, "--calibration", few_pictures, "--json")
    built = _build(repository, wheels, model, *options)
    assert built.exit_code == 0, built.output
    record: dict[str, Any] = json.loads(built.stdout)
    version = repository.parent / "var" / "staging" / model / str(record["version"])
    assert (version / "model.plan").stat().st_size > {"fp32": 10, "fp16": 6, "int8": 3}[precision] * 1_000_000
    assert (record["target"], record["precision"], record["state"]) == ("tensorrt", precision, "staged")
    assert (record["builder"], record["gpu_architecture"]) == ("tensorrt_rtx 1.7.1.116", ["8.6+"])
    assert record["batch_profile"] == {"minimum": 1, "optimum": 8, "maximum": 32}
    report = LayerReport.model_validate_json((version / "layers.json").read_text())
    assert report.computed_in() == COMPUTED_IN[model, precision]
    check_plan(record, **BUILDER, compute_capability=(8, 9))
    with pytest.raises(PlanMismatch, match=f"build {model} --target tensorrt --precision {precision} --again"):
        check_plan(record, **BUILDER, compute_capability=(7, 5))
    again = _build(repository, wheels, model, *options)
    assert json.loads(again.stdout)["version"] == record["version"]


def test_other_batches_and_gpus_make_another_build(repository: Path, wheels: Path) -> None:
    model = "embedder_effnet_lite0"
    options = ("--batch", "1,2,4", "--compute-capability", "12.0", "--compute-capability", "8.6", "--json")
    record = json.loads(_build(repository, wheels, model, *options).stdout)
    assert record["gpu_architecture"] == ["8.6", "12.0"]
    assert record["batch_profile"] == {"minimum": 1, "optimum": 2, "maximum": 4}
    other = json.loads(_build(repository, wheels, model, "--json").stdout)
    assert record["build"] != other["build"]


def test_a_network_that_tensorrt_does_not_know_is_refused_with_its_reason() -> None:
    opsets = '<ir_version: 8, opset_import: ["" : 17, "ours" : 1]>'
    text = f"{opsets} g (float[n,4] images) => (float[n,4] y) {{ y = ours.Odd(images) }}"
    builder = PlanBuilder(installed_flavour(), PlanOptions(BatchProfile(minimum=1, optimum=2, maximum=4)))
    with pytest.raises(ConversionError, match=r"tensorrt_rtx \S+ does not take this network: .*Odd"):
        builder.build(onnx.parser.parse_model(text), Path("unused"))
