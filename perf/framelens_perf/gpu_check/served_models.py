"""The model repository of a check's embedded Triton: `recognizer` and one version of each engine, where they run."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from framelens_perf.gpu_check.engines import EngineFile

_CONFIG = "config.pbtxt"
# Other descriptions of a model, of which a Triton takes one by its name: here config.pbtxt counts, whatever that is.
_CONFIGS = "configs"
_RECOGNIZER = "recognizer"
_GPU = model_config_pb2.ModelInstanceGroup.KIND_GPU


def lay_out(source: Path, target: Path, engines: Mapping[str, EngineFile], ordinal: int) -> dict[str, str]:
    """Replaces `target`; says of each engine what runs it where.

    Plans run on GPU `ordinal`; ONNX engines on the CPU, for the embedded Triton's `onnxruntime` has no other place.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source / _RECOGNIZER, target / _RECOGNIZER, ignore=shutil.ignore_patterns("__pycache__", _CONFIGS))
    if ordinal:
        # Its image operations are on the GPU that an instance is for, and on the first where it names none.
        _change(target / _RECOGNIZER / _CONFIG, lambda config: _place(config, ordinal))
    return {model: _lay_out_engine(source / model, target / model, file, ordinal) for model, file in engines.items()}


def _lay_out_engine(source: Path, target: Path, file: EngineFile, ordinal: int) -> str:
    shutil.copytree(source, target, ignore=lambda _, names: [n for n in names if n.isdecimal() or n == _CONFIGS])
    shutil.copytree(file.path.parent, target / file.path.parent.name)
    if file.path.suffix != ".plan":
        return f"{file.path} by onnxruntime on the CPU"
    _change(target / _CONFIG, lambda config: _by_tensorrt(config, ordinal))
    return f"{file.path} by tensorrt on GPU {ordinal}"


def _by_tensorrt(config: model_config_pb2.ModelConfig, ordinal: int) -> None:
    """As docker/triton/model_configs/*/configs/tensorrt.pbtxt."""
    config.backend = "tensorrt"
    config.parameters["FORCE_CPU_ONLY_INPUT_TENSORS"].string_value = "no"
    _place(config, ordinal)


def _place(config: model_config_pb2.ModelConfig, ordinal: int) -> None:
    for group in config.instance_group:
        group.kind = _GPU
        group.gpus[:] = [ordinal]


def _change(path: Path, change: Callable[[model_config_pb2.ModelConfig], None]) -> None:
    config = text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
    change(config)
    path.write_text(text_format.MessageToString(config), encoding="utf-8")
