"""The configurations that a GPU host adds to the model repository differ from the models' own in nothing else."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

ROOT = Path(__file__).parents[3]
REPOSITORY = ROOT / "model_repository"
VARIANTS = sorted((ROOT / "docker" / "triton" / "model_configs").glob("*/configs/*.pbtxt"))
BACKEND_OF = {"gpu": "onnxruntime", "tensorrt": "tensorrt"}


def parsed(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def test_every_model_of_ours_has_both() -> None:
    found = {(path.parents[1].name, path.stem) for path in VARIANTS}
    assert found == {(model, variant) for model in ("detector", "embedder_effnet_lite0") for variant in BACKEND_OF}


@pytest.mark.parametrize("path", VARIANTS, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_only_backend_and_place_differ(path: Path) -> None:
    variant, original = parsed(path), parsed(REPOSITORY / path.parents[1].name / "config.pbtxt")
    assert variant.backend == BACKEND_OF[path.stem]
    assert [group.kind for group in variant.instance_group] == [model_config_pb2.ModelInstanceGroup.KIND_GPU]
    # Of the Python backend, which is what the embedded Triton runs plans by.
    kept_on_gpu = variant.parameters.pop("FORCE_CPU_ONLY_INPUT_TENSORS", None)
    assert (kept_on_gpu is not None and kept_on_gpu.string_value == "no") is (variant.backend == "tensorrt")
    for config in (variant, original):
        config.ClearField("backend")
        config.ClearField("instance_group")
    assert variant == original
