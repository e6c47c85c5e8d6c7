"""The first engine that runs is taken, and why not those before it is said."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from framelens_perf.gpu_check.engines import EngineFile, GpuEngines, OnnxCudaEngine, chosen, fp32_engine
from framelens_perf.gpu_check.failures import EngineMissing
from framelens_triton.cuda.device import Device

DEVICE = Device(0, "Card", (9, 0))


def file_that(runs: bool) -> Any:
    def open_it(device: Device) -> Any:
        if not runs:
            raise RuntimeError(f"no kernels for {device}")
        return SimpleNamespace(name="an engine")

    return SimpleNamespace(open=open_it, path=Path("model.plan"))


def not_built() -> EngineFile:
    raise EngineMissing("cannot be built")


def test_the_first_that_runs_is_taken_and_the_others_say_why_not() -> None:
    tried = [
        ("plan", not_built),
        ("old plan", lambda: file_that(runs=False)),
        ("onnx", lambda: file_that(runs=True)),
        ("never", not_built),
    ]
    choice = chosen(tried, DEVICE)
    assert choice.to_json() == {
        "used": "an engine",
        "file": "model.plan",
        "said": [
            "plan: EngineMissing: cannot be built",
            "old plan: RuntimeError: no kernels for GPU 0 (Card, compute capability 9.0)",
            "onnx: runs",
        ],
    }


def test_where_none_runs_every_reason_is_kept() -> None:
    choice = chosen([("plan", not_built), ("onnx", lambda: file_that(runs=False))], DEVICE)
    assert (choice.engine, choice.file, len(choice.said)) == (None, None, 2)


def test_onnx_runtime_without_cuda_is_refused_and_not_run_on_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing, match="has no CUDAExecutionProvider; install onnxruntime-gpu"):
        OnnxCudaEngine(tmp_path / "model.onnx", DEVICE)


def test_the_newest_fp32_engine_is_taken(tmp_path: Path) -> None:
    for version, precision in (("2", "fp32"), ("9", "fp32"), ("10", "int8")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "model.onnx").touch()
        (tmp_path / version / "engine.json").write_text(json.dumps({"precision": precision}))
    assert fp32_engine(tmp_path).path == tmp_path / "9" / "model.onnx"
    assert fp32_engine(tmp_path).arithmetic == "fp32"


def test_a_model_without_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing, match=f"{tmp_path} has no FP32 ONNX engine"):
        fp32_engine(tmp_path)


def test_a_batch_is_put_run_and_fetched_by_its_own_engine() -> None:
    calls: list[tuple[Any, ...]] = []
    engine = SimpleNamespace(
        put=lambda images: calls.append(("put", images)),
        run=lambda rows: calls.append(("run", rows)),
        fetch=lambda names, rows: dict.fromkeys(names, rows),
    )
    assert GpuEngines({"a": engine}).infer("a", "xyz", ["out"]) == {"out": 3}  # type: ignore[arg-type, dict-item]
    assert calls == [("put", "xyz"), ("run", 3)]
