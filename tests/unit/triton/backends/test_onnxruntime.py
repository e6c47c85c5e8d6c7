"""The Python-based `onnxruntime` backend on a real session, with a stand-in for what only Triton's stub provides."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from framelens_triton import onnx_session

BACKEND = Path(onnx_session.__file__).parent / "backends" / "onnxruntime" / "model.py"
# Doubles what it is given.
NETWORK = """
<ir_version: 8, opset_import: ["" : 17]>
network (float[n,2] images) => (float[n,2] doubled, int64[n,2] index)
<float two = {2}>
{
    doubled = Mul(images, two)
    index = Cast<to = 7>(images)
}
"""


class Tensor:
    def __init__(self, name: str, values: np.ndarray) -> None:
        self.name, self.values = name, values

    def as_numpy(self) -> np.ndarray:
        return self.values


class TritonError:
    CANCELLED, INTERNAL = 1, 2

    def __init__(self, message: str, code: int) -> None:
        self.message, self.code = message, code


def triton() -> ModuleType:
    module = ModuleType("triton_python_backend_utils")
    module.Tensor = Tensor
    module.TritonModelException = type("TritonModelException", (Exception,), {})
    module.TritonError = TritonError
    module.get_input_tensor_by_name = lambda request, name: request.inputs[name]
    module.InferenceResponse = lambda tensors=(), error=None: SimpleNamespace(tensors=tensors, error=error)
    return module


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", triton())
    spec = importlib.util.spec_from_file_location("onnxruntime_backend", BACKEND)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments(repository: Path) -> dict[str, str]:
    config = {
        "default_model_filename": "",
        "input": [{"name": "images"}],
        "output": [{"name": "doubled"}, {"name": "index"}],
        "parameters": {"intra_op_thread_count": {"string_value": "1"}},
    }
    return {"model_config": json.dumps(config), "model_repository": str(repository), "model_version": "4"}


@pytest.fixture
def model(backend: ModuleType, tmp_path: Path) -> Any:
    (tmp_path / "4").mkdir()
    onnx.save(onnx.parser.parse_model(NETWORK), tmp_path / "4" / "model.onnx")
    instance = backend.TritonPythonModel()
    instance.initialize(arguments(tmp_path))
    return instance


def request(*rows: tuple[float, float], cancelled: bool = False, dtype: type = np.float32) -> SimpleNamespace:
    return SimpleNamespace(inputs={"images": Tensor("images", np.array(rows, dtype))}, is_cancelled=lambda: cancelled)


def test_requests_of_a_batch_each_get_their_own_rows(model: Any) -> None:
    responses = model.execute([request((1, 2)), request((3, 4), (5, 6)), request((7, 8))])
    found = [{tensor.name: tensor.values.tolist() for tensor in response.tensors} for response in responses]
    assert [each["doubled"] for each in found] == [[[2, 4]], [[6, 8], [10, 12]], [[14, 16]]]
    assert found[1]["index"] == [[3, 4], [5, 6]]


def test_a_caller_that_has_gone_costs_nothing_and_its_neighbours_are_answered(model: Any) -> None:
    first, gone, last = model.execute([request((1, 1)), request((2, 2), cancelled=True), request((3, 3))])
    assert gone.error.code == 1
    assert [each.tensors[0].values.tolist() for each in (first, last)] == [[[2, 2]], [[6, 6]]]
    (alone,) = model.execute([request((2, 2), cancelled=True)])
    assert alone.error.code == 1


def test_a_run_that_fails_is_told_to_each_of_its_callers(model: Any) -> None:
    responses = model.execute([request((1, 1), dtype=np.int8), request((2, 2), dtype=np.int8)])
    assert [response.error.code for response in responses] == [2, 2]
    assert "tensor(int8)" in responses[0].error.message


def test_a_version_without_its_engine_says_what_to_do(backend: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"4/model\.onnx is missing; build it with `make engines`"):
        backend.TritonPythonModel().initialize(arguments(tmp_path))
