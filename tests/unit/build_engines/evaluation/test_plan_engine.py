"""Plans in evaluation, over the GPU and the TensorRT that are none of tests/unit/triton; and without a GPU."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "triton" / "fakes"))

from fake_tensorrt import FakeTensorrt
from host_driver import HostDriver, in_place_of_cuda

from framelens_engines.errors import EngineError
from framelens_engines.evaluation.plan_engine import open_plan
from framelens_triton.cuda import bindings


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    record = {
        "model": "detector",
        "build": 77,
        "precision": "fp16",
        "target": "tensorrt",
        "builder": "tensorrt_rtx 1.2.3",
        "gpu_architecture": ["8.6+"],
    }
    (tmp_path / "engine.json").write_text(json.dumps(record))
    (tmp_path / "model.plan").write_text(json.dumps({"profiles": [(1, 8, 32)]}))
    return tmp_path / "model.plan"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostDriver]:
    """Nothing is launched here but TensorRT's own work, so it has no kernels."""
    fake = HostDriver(SimpleNamespace())
    with in_place_of_cuda(fake, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorrt_rtx", FakeTensorrt(fake))
        yield fake


@pytest.mark.usefixtures("driver")
def test_a_plan_answers_every_batch_up_to_the_largest(plan: Path) -> None:
    infer = open_plan(plan, 32)
    for rows in (1, 3, 32):
        images = np.arange(rows * 2, dtype=np.uint8).reshape(rows, 2)
        answer = infer(images)
        assert answer.keys() == {"doubled", "build"}
        assert np.array_equal(answer["doubled"], images * 2.0)
        assert answer["build"].tolist() == [[77]] * rows


@pytest.mark.usefixtures("driver")
def test_a_plan_for_something_else_is_refused_with_the_reason(plan: Path) -> None:
    record = json.loads(plan.with_name("engine.json").read_text())
    plan.with_name("engine.json").write_text(json.dumps(record | {"gpu_architecture": ["12.0"]}))
    with pytest.raises(EngineError, match=r"cannot be run on this machine: .* is for GPUs of compute capability 12\.0"):
        open_plan(plan, 32)


def test_without_a_gpu_it_is_said_where_plans_are_validated(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bindings, "_DRIVER_LIBRARY", "libcuda-that-is-not-there.so.1")
    bindings.driver.cache_clear()
    with pytest.raises(EngineError, match=r"no NVIDIA driver .*Validate a plan where the GPU and the TensorRT are"):
        open_plan(plan, 32)
