"""What each flavour takes and refuses; full TensorRT, which needs a GPU, is a stand-in that notes what it is told."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from framelens_engines.engine import BatchProfile
from framelens_engines.errors import ConversionError
from framelens_engines.tensorrt import flavour, gpu
from framelens_engines.tensorrt.flavour import TensorRt, TensorRtRtx, installed_flavour
from framelens_engines.tensorrt.options import PlanOptions

BATCH = BatchProfile(minimum=1, optimum=8, maximum=32)


@pytest.fixture
def rtx() -> TensorRtRtx:
    installed = installed_flavour()
    assert isinstance(installed, TensorRtRtx)
    return installed


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> TensorRt:
    """TensorRT 10 on an H100."""
    monkeypatch.setattr(flavour, "compute_capability", lambda: "9.0")
    levels = SimpleNamespace(NONE=0, AMPERE_PLUS=1, __members__={"NONE": 0, "AMPERE_PLUS": 1})
    trt = MagicMock(__version__="10.3.0", HardwareCompatibilityLevel=levels)
    trt.__name__ = "tensorrt"
    return TensorRt(trt)


def test_where_no_builder_is_installed_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConversionError, match="no TensorRT is installed here; `make engines-tensorrt`"):
        installed_flavour()


def test_tensorrt_is_taken_before_tensorrt_rtx(full: TensorRt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", full.trt)
    assert str(installed_flavour()) == "tensorrt 10.3.0"


def test_rtx_builds_for_the_gpus_that_it_is_told(rtx: TensorRtRtx) -> None:
    assert str(rtx) == "tensorrt_rtx 1.7.1.116"
    assert rtx.gpus(PlanOptions(BATCH)) == ("8.6+",)
    options = PlanOptions(BATCH, ("8.6", "12.0"))
    assert rtx.gpus(options) == ("8.6", "12.0")
    logger = rtx.trt.Logger(rtx.trt.Logger.ERROR)
    config = rtx.trt.Builder(logger).create_builder_config()
    rtx.configure(config, options)
    told = [config.get_compute_capability(index) for index in range(config.num_compute_capabilities)]
    assert told == [rtx.trt.ComputeCapability.SM86, rtx.trt.ComputeCapability.SM120]


def test_rtx_names_the_gpus_that_it_knows(rtx: TensorRtRtx) -> None:
    with pytest.raises(ConversionError, match=r"tensorrt_rtx \S+ knows no ComputeCapability SM61; it has .*SM120"):
        rtx.gpus(PlanOptions(BATCH, ("6.1",)))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (PlanOptions(BATCH, hardware_compatibility="ampere_plus"), "--hardware-compatibility"),
        (PlanOptions(BATCH, version_compatible=True), "--version-compatible"),
    ],
)
def test_rtx_refuses_what_only_tensorrt_has(rtx: TensorRtRtx, options: PlanOptions, named: str) -> None:
    with pytest.raises(ConversionError, match=f"has no {named}"):
        rtx.gpus(options)


def test_tensorrt_builds_for_its_own_gpu_or_for_ampere_and_later(full: TensorRt) -> None:
    assert full.gpus(PlanOptions(BATCH)) == ("9.0",)
    assert full.gpus(PlanOptions(BATCH, hardware_compatibility="ampere_plus")) == ("8.0+",)
    with pytest.raises(ConversionError, match="builds for the GPU that it runs on and not for compute capability 8.6"):
        full.gpus(PlanOptions(BATCH, ("8.6",)))


def test_tensorrt_is_told_of_compatibility(full: TensorRt) -> None:
    config = MagicMock()
    full.configure(config, PlanOptions(BATCH, hardware_compatibility="ampere_plus", version_compatible=True))
    assert config.hardware_compatibility_level == 1
    config.set_flag.assert_called_once_with(full.trt.BuilderFlag.VERSION_COMPATIBLE)
    with pytest.raises(ConversionError, match="SAME_COMPUTE_CAPABILITY; it has AMPERE_PLUS, NONE"):
        full.configure(config, PlanOptions(BATCH, hardware_compatibility="same_compute_capability"))


def test_tensorrt_keeps_its_timings_by_builder_and_gpu(full: TensorRt, tmp_path: Path) -> None:
    config = MagicMock()
    config.get_timing_cache.return_value.serialize.return_value = b"first"
    folder = tmp_path / "timings"
    with full.timings(config, folder):
        config.create_timing_cache.assert_called_once_with(b"")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"tensorrt-10.3.0-9.0": b"first"}
    with full.timings(config, folder):
        config.create_timing_cache.assert_called_with(b"first")


def test_rtx_times_nothing_for_that_would_take_a_gpu(rtx: TensorRtRtx, tmp_path: Path) -> None:
    config = MagicMock()
    with rtx.timings(config, tmp_path / "timings"):
        pass
    assert config.mock_calls == []
    assert not (tmp_path / "timings").exists()


def test_tensorrt_looks_into_the_plan_that_it_built(full: TensorRt) -> None:
    runtime = full.trt.Runtime.return_value
    inspector = runtime.deserialize_cuda_engine.return_value.create_engine_inspector.return_value
    inspector.get_engine_information.return_value = json.dumps({"Layers": ["conv + relu"]})
    assert full.inspected(None, b"plan") == {"Layers": ["conv + relu"]}
    runtime.deserialize_cuda_engine.return_value = None
    with pytest.raises(ConversionError, match="cannot load the plan that it has built"):
        full.inspected(None, b"plan")


class _Driver:
    """libcuda.so.1 with one GPU of compute capability 8.9."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def cuInit(self, _flags: int) -> int:
        return self.status

    def cuDeviceGetAttribute(self, value: Any, attribute: int, _device: int) -> int:
        value._obj.value = {75: 8, 76: 9}[attribute]
        return 0


def test_the_gpu_is_asked_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.ctypes, "CDLL", lambda _name: _Driver())
    assert gpu.compute_capability() == "8.9"
    monkeypatch.setattr(gpu.ctypes, "CDLL", lambda _name: _Driver(status=100))
    with pytest.raises(ConversionError, match="there is no GPU here to build a plan for \\(CUDA error 100\\)"):
        gpu.compute_capability()


def test_without_a_driver_it_is_said_how_to_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(gpu.ctypes, "CDLL", missing)
    with pytest.raises(ConversionError, match="no GPU here .*libcuda.so.1.*pip install tensorrt-rtx"):
        gpu.compute_capability()
