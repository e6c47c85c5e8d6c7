"""Serves `model.onnx` under the name of Triton's own `onnxruntime` backend, where only the Python backend exists.

The same model repository runs on NVIDIA's container, where `onnxruntime` is native.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from framelens_triton.priority import background_priority
from framelens_triton.responding import respond

_DEFAULT_FILE = "model.onnx"


class TritonPythonModel:
    """One instance: an ONNX Runtime session on the CPU."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        file = config.get("default_model_filename") or _DEFAULT_FILE
        path = Path(args["model_repository"]) / args["model_version"] / file
        if not path.is_file():
            raise pb_utils.TritonModelException(f"{path} is missing; build it with `make engines`")
        with background_priority():
            # Imported here, for that alone takes a core a good part of a second, beside an engine that serves.
            from framelens_triton.onnx_session import onnx_session

            try:
                self._session = onnx_session(path, _threads(config))
            except Exception as error:  # ONNX Runtime's exceptions share no base but this one.
                raise pb_utils.TritonModelException(f"{path} cannot be loaded: {error}; build it again") from None
        self._inputs = [entry["name"] for entry in config["input"]]
        self._outputs = [entry["name"] for entry in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """All requests that Triton hands over at once, as one batch."""
        return respond(requests, self._run, lambda: _error("the caller has gone", pb_utils.TritonError.CANCELLED))

    def _run(self, requests: list[Any]) -> list[Any]:
        batches = [[pb_utils.get_input_tensor_by_name(r, name).as_numpy() for name in self._inputs] for r in requests]
        sizes = [batch[0].shape[0] for batch in batches]
        feed = {
            name: batches[0][at] if len(batches) == 1 else np.concatenate([batch[at] for batch in batches])
            for at, name in enumerate(self._inputs)
        }
        try:
            outputs = self._session.run(self._outputs, feed)
        except Exception as error:  # As above.
            return [_error(str(error), pb_utils.TritonError.INTERNAL)] * len(requests)
        ends = np.cumsum(sizes)
        return [
            pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor(name, np.ascontiguousarray(output[end - size : end]))
                    for name, output in zip(self._outputs, outputs, strict=True)
                ]
            )
            for size, end in zip(sizes, ends, strict=True)
        ]


def _threads(config: dict[str, Any]) -> int:
    """Reads `intra_op_thread_count` as the native backend does: 0 or absent means one thread for each core."""
    return int(config.get("parameters", {}).get("intra_op_thread_count", {}).get("string_value", "0"))


def _error(message: str, code: int) -> Any:  # noqa: ANN401
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
