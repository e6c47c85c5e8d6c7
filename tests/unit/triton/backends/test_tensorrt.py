"""The Python-based `tensorrt` backend with its engine, over a TensorRT and a driver that are this machine's."""

import importlib.util
import json
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_tensorrt import FakeTensorrt
from host_driver import HostDriver

from framelens_triton import tensorrt_engine
from framelens_triton.cuda import dlpack
from framelens_triton.cuda.arrays import DeviceArray
from framelens_triton.cuda.device import Device
from framelens_triton.cuda.memory import DeviceMemory, host_view
from framelens_triton.tensorrt_engine import TensorrtEngine

BACKEND = Path(tensorrt_engine.__file__).parent / "backends" / "tensorrt" / "model.py"
RECORD = {
    "model": "detector",
    "build": 77,
    "precision": "fp16",
    "target": "tensorrt",
    "builder": "tensorrt_rtx 1.2.3",
    "gpu_architecture": ["8.6+"],
    "optimisation": {"version_compatible": False},
}
OUTPUTS = ["build", "doubled"]


class Tensor:
    """As Triton's: of this machine's memory, or of a GPU's, which numpy is not shown."""

    def __init__(self, name: str, values: Any, device: DeviceArray | None = None) -> None:
        self.name, self.values, self.device = name, values, device

    @classmethod
    def from_dlpack(cls, name: str, array: DeviceArray) -> "Tensor":
        found = dlpack.layout(array.__dlpack__(stream=None))
        assert found.device == array.__dlpack_device__() == (dlpack.CUDA, 0)
        return cls(name, np.array(host_view(found.address, found.shape, found.dtype)), array)

    def is_cpu(self) -> bool:
        return self.device is None

    def as_numpy(self) -> np.ndarray:
        assert self.device is None
        return self.values

    def __dlpack__(self, *, stream: int) -> object:
        assert stream >= 100
        return self.device.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device.__dlpack_device__()


class TritonError:
    CANCELLED, INTERNAL = 1, 2

    def __init__(self, message: str, code: int) -> None:
        self.message, self.code = message, code


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> ModuleType:
    module = ModuleType("triton_python_backend_utils")
    module.Tensor = Tensor
    module.TritonModelException = type("TritonModelException", (Exception,), {})
    module.TritonError = TritonError
    module.Logger = SimpleNamespace(log_info=said.append)
    module.get_input_tensor_by_name = lambda request, name: request.inputs[name]
    module.InferenceResponse = lambda tensors=(), error=None: SimpleNamespace(tensors=tensors, error=error)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", module)
    spec = importlib.util.spec_from_file_location("tensorrt_backend", BACKEND)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def trt(driver: HostDriver, monkeypatch: pytest.MonkeyPatch) -> FakeTensorrt:
    fake = FakeTensorrt(driver)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", fake)
    return fake


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "4").mkdir()
    (tmp_path / "4" / "model.plan").write_text(json.dumps({"profiles": [(1, 8, 32)]}))
    (tmp_path / "4" / "engine.json").write_text(json.dumps(RECORD))
    return tmp_path


def arguments(repository: Path, **changes: Any) -> dict[str, str]:
    config = {
        "default_model_filename": "model.plan",
        "max_batch_size": 32,
        "input": [{"name": "images"}],
        "output": [{"name": name} for name in OUTPUTS],
    } | changes
    return {
        "model_config": json.dumps(config),
        "model_repository": str(repository),
        "model_version": "4",
        "model_instance_name": "detector_0",
        "model_instance_kind": "GPU",
        "model_instance_device_id": "0",
    }


@pytest.fixture
def model(backend: ModuleType, trt: FakeTensorrt, repository: Path) -> Any:
    instance = backend.TritonPythonModel()
    instance.initialize(arguments(repository))
    return instance


def on_host(*rows: tuple[int, int], cancelled: bool = False, dtype: type = np.uint8) -> SimpleNamespace:
    tensor = Tensor("images", np.array(rows, dtype))
    return SimpleNamespace(inputs={"images": tensor}, is_cancelled=lambda: cancelled)


def on_device(*rows: tuple[int, int]) -> SimpleNamespace:
    values = np.array(rows, np.uint8)
    memory = DeviceMemory(values.nbytes)
    host_view(memory.address, values.shape, np.uint8)[...] = values
    tensor = Tensor("images", None, DeviceArray(memory.address, values.shape, values.dtype, memory))
    return SimpleNamespace(inputs={"images": tensor}, is_cancelled=lambda: False)


def answers(responses: list[Any]) -> list[dict[str, Any]]:
    return [{tensor.name: tensor.values.tolist() for tensor in each.tensors} for each in responses]


def test_requests_of_a_batch_each_get_their_own_rows_and_the_build(model: Any, driver: HostDriver) -> None:
    driver.calls.clear()
    found = answers(model.execute([on_host((1, 2)), on_host((3, 4), (5, 6)), on_host((7, 8))]))
    assert [each["doubled"] for each in found] == [[[2, 4]], [[6, 8], [10, 12]], [[14, 16]]]
    assert [each["build"] for each in found] == [[[77]], [[77], [77]], [[77]]]
    # One graph, that of the bucket of 8; each output comes back in one copy.
    assert [call for call in driver.calls if call.startswith("graph")] == ["graph 2"]
    assert driver.calls.count("to host") == len(OUTPUTS)


@pytest.mark.parametrize(("rows", "graph"), [(1, 1), (2, 2), (8, 2), (9, 3), (32, 3)])
def test_each_batch_runs_in_its_bucket(model: Any, driver: HostDriver, rows: int, graph: int) -> None:
    driver.calls.clear()
    (found,) = answers(model.execute([on_host(*[(n, n) for n in range(rows)])]))
    assert found["doubled"] == [[2 * n, 2 * n] for n in range(rows)]
    assert f"graph {graph}" in driver.calls


def test_the_code_of_a_version_compatible_plan_may_run_and_of_no_other(
    backend: ModuleType, trt: FakeTensorrt, repository: Path
) -> None:
    (repository / "4" / "model.plan").write_text(json.dumps({"profiles": [(1, 8, 32)], "carries_runtime": True}))
    with pytest.raises(backend.pb_utils.TritonModelException, match="cannot be loaded"):
        backend.TritonPythonModel().initialize(arguments(repository))
    record = RECORD | {"optimisation": {"version_compatible": True}}
    (repository / "4" / "engine.json").write_text(json.dumps(record))
    instance = backend.TritonPythonModel()
    instance.initialize(arguments(repository))
    assert answers(instance.execute([on_host((1, 2))]))[0]["doubled"] == [[2, 4]]


def test_what_a_larger_batch_left_behind_is_never_seen(model: Any) -> None:
    model.execute([on_host(*[(9, 9)] * 8)])
    assert answers(model.execute([on_host((1, 1), (2, 2))]))[0]["doubled"] == [[2, 2], [4, 4]]


def test_inputs_on_the_gpu_are_answered_there_without_a_trip_through_the_host(model: Any, driver: HostDriver) -> None:
    driver.calls.clear()
    responses = model.execute([on_device((1, 2)), on_device((3, 4), (5, 6))])
    assert [each["doubled"] for each in answers(responses)] == [[[2, 4]], [[6, 8], [10, 12]]]
    assert all(not tensor.is_cpu() for response in responses for tensor in response.tensors)
    assert "to host" not in driver.calls
    assert "to device" not in driver.calls


def test_each_request_is_answered_where_its_inputs_were(model: Any) -> None:
    host, device = model.execute([on_host((1, 2)), on_device((3, 4))])
    assert [each["doubled"] for each in answers([host, device])] == [[[2, 4]], [[6, 8]]]
    assert [host.tensors[0].is_cpu(), device.tensors[0].is_cpu()] == [True, False]


def test_a_caller_that_has_gone_costs_nothing_and_its_neighbours_are_answered(model: Any) -> None:
    first, gone, last = model.execute([on_host((1, 1)), on_host((2, 2), cancelled=True), on_host((3, 3))])
    assert gone.error.code == TritonError.CANCELLED
    assert [each["doubled"] for each in answers([first, last])] == [[[2, 2]], [[6, 6]]]
    (alone,) = model.execute([on_host((2, 2), cancelled=True)])
    assert alone.error.code == TritonError.CANCELLED


def test_a_run_that_fails_is_told_to_each_of_its_callers(model: Any) -> None:
    responses = model.execute([on_host((1, 1), dtype=np.int8), on_host((2, 2), dtype=np.int8)])
    assert [response.error.code for response in responses] == [TritonError.INTERNAL] * 2
    assert "input images is int8 [2] a row, and the plan takes uint8 [2]" in responses[0].error.message
    too_many = model.execute([on_host(*[(1, 1)] * 20), on_host(*[(1, 1)] * 20)])
    assert "a batch of 40 is larger than 32" in too_many[0].error.message


def test_what_is_kept_ready_is_said(model: Any, said: list[str]) -> None:
    assert said == [
        "detector_0: tensorrt_rtx 1.2.3 on GPU 0 (Host, compute capability 9.0); batches of 1, 8, 32; CUDA graphs of"
        " 1, 8, 32"
    ]


def test_contexts_share_their_memory_and_run_once_before_they_are_recorded(model: Any, trt: FakeTensorrt) -> None:
    contexts = trt.engines[0].contexts
    assert [context.rows for context in contexts] == [1, 8, 32]
    assert [context.runs for context in contexts] == [1, 1, 1]
    assert len({context.addresses["images"] for context in contexts}) == 1


def test_without_graphs_it_runs_all_the_same_and_says_so(
    backend: ModuleType,
    trt: FakeTensorrt,
    driver: HostDriver,
    repository: Path,
    said: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver.captures = False
    model = backend.TritonPythonModel()
    with caplog.at_level(logging.WARNING):
        model.initialize(arguments(repository))
    assert "batches of 8 run without a CUDA graph: recording a CUDA graph" in caplog.text
    assert said[0].endswith("CUDA graphs of none")
    assert answers(model.execute([on_host((1, 2))]))[0]["doubled"] == [[2, 4]]


def test_several_profiles_are_used_each_for_its_sizes(trt: FakeTensorrt, repository: Path) -> None:
    plan = repository / "4" / "model.plan"
    plan.write_text(json.dumps({"profiles": [(1, 2, 4), (4, 16, 32)]}))
    engine = TensorrtEngine(plan, Device.open(), 32)
    assert engine.graphs() == "batches of 1, 2, 4, 16, 32; CUDA graphs of 1, 2, 4, 16, 32"
    assert [context.profile[1] for context in trt.engines[0].contexts] == [2, 2, 2, 16, 16]


def test_the_other_tensorrt_runs_its_own_plans(
    trt: FakeTensorrt, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trt, "__name__", "tensorrt")
    monkeypatch.delattr(FakeTensorrt, "DynamicShapesKernelSpecializationStrategy")
    trt.__spec__.name = "tensorrt"
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    (repository / "4" / "engine.json").write_text(json.dumps(RECORD | {"builder": "tensorrt 1.2.3"}))
    engine = TensorrtEngine(repository / "4" / "model.plan", Device.open(), 32)
    assert engine.name.startswith("tensorrt 1.2.3 on GPU 0")
    assert engine.graphs() == "batches of 1, 8, 32; CUDA graphs of 1, 8, 32"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"builder": "tensorrt_rtx 1.2.2"}, "it was built by tensorrt_rtx 1.2.2, and tensorrt_rtx 1.2.3 runs here"),
        ({"gpu_architecture": ["8.6"]}, "it is for GPUs of compute capability 8.6, and this one is of 9.0"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_with_the_reason(
    backend: ModuleType, trt: FakeTensorrt, repository: Path, change: dict[str, Any], complaint: str
) -> None:
    (repository / "4" / "engine.json").write_text(json.dumps(RECORD | change))
    with pytest.raises(Exception, match=f"4/model.plan cannot be loaded: .*{complaint}"):
        backend.TritonPythonModel().initialize(arguments(repository))


@pytest.mark.usefixtures("trt")
def test_faults_of_a_version_say_what_to_do(backend: ModuleType, repository: Path) -> None:
    version = repository / "4"

    def complaint(**changes: Any) -> str:
        with pytest.raises(Exception) as refused:
            backend.TritonPythonModel().initialize(arguments(repository, **changes))
        return str(refused.value)

    assert "max_batch_size 64; build it with --batch 1,8,64" in complaint(max_batch_size=64)
    assert "has no other, which config.pbtxt names" in complaint(output=[{"name": "other"}])
    (version / "model.plan").write_text("broken")
    assert "cannot be loaded by tensorrt_rtx 1.2.3; its log says why" in complaint()
    (version / "engine.json").write_text("[]")
    assert "engine.json is no JSON object; publish that version again" in complaint()
    (version / "engine.json").write_text("{")
    assert "engine.json cannot be read" in complaint()
    (version / "engine.json").unlink()
    assert "engine.json is missing, which says what model.plan is for" in complaint()
    (version / "model.plan").unlink()
    assert "4/model.plan is missing; build it with `framelens-engines build MODEL --target tensorrt`" in complaint()


@pytest.mark.usefixtures("driver")
def test_without_tensorrt_it_says_which_is_needed(
    backend: ModuleType, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_engine, "find_spec", lambda _: None)
    with pytest.raises(Exception, match="neither tensorrt nor tensorrt_rtx is installed, and the plan was built by"):
        backend.TritonPythonModel().initialize(arguments(repository))
