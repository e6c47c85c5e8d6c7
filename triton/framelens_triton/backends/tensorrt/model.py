"""Serves `model.plan` under the name of Triton's own `tensorrt` backend, where only the Python backend exists.

The same model repository runs on NVIDIA's container, where `tensorrt` is native. Inputs and outputs stay in the GPU's
memory (DLPack) where the caller has them there, which takes the parameter FORCE_CPU_ONLY_INPUT_TENSORS `no` in the
model's configuration; inputs of this machine's memory go through pinned memory, and their outputs come back so.
"""

import json
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from framelens_triton.priority import background_priority
from framelens_triton.responding import respond

_DEFAULT_FILE = "model.plan"


class TritonPythonModel:
    """One instance: a plan on one GPU, with a CUDA graph for each batch bucket."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        file = config.get("default_model_filename") or _DEFAULT_FILE
        path = Path(args["model_repository"]) / args["model_version"] / file
        if not path.is_file():
            raise pb_utils.TritonModelException(
                f"{path} is missing; build it with `framelens-engines build MODEL --target tensorrt`"
            )
        with background_priority():
            # Imported here, as in the `onnxruntime` backend.
            from framelens_triton.cuda.device import Device
            from framelens_triton.tensorrt_engine import TensorrtEngine

            try:
                device = Device.open(_ordinal(args))
                self._engine = TensorrtEngine(path, device, max(1, int(config.get("max_batch_size", 0))))
            except Exception as error:  # TensorRT's exceptions share no base but this one.
                raise pb_utils.TritonModelException(f"{path} cannot be loaded: {error}") from None
        self._inputs = [entry["name"] for entry in config["input"]]
        self._outputs = [entry["name"] for entry in config["output"]]
        missing = sorted({*self._inputs, *self._outputs} - self._engine.tensors)
        if missing:
            raise pb_utils.TritonModelException(f"{path} has no {', '.join(missing)}, which config.pbtxt names")
        pb_utils.Logger.log_info(f"{args['model_instance_name']}: {self._engine.name}; {self._engine.graphs()}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """All requests that Triton hands over at once, as one batch."""
        return respond(requests, self._run, lambda: _error("the caller has gone", pb_utils.TritonError.CANCELLED))

    def _run(self, requests: list[Any]) -> list[Any]:
        from framelens_triton.batch_buckets import row_ranges

        batches = [[pb_utils.get_input_tensor_by_name(r, name) for name in self._inputs] for r in requests]
        try:
            # What is taken of others is kept until all is computed.
            taken = [[self._taken(tensor) for tensor in batch] for batch in batches]
            ranges = row_ranges([batch[0].shape[0] for batch in taken])
            for (start, _), batch in zip(ranges, taken, strict=True):
                for name, rows in zip(self._inputs, batch, strict=True):
                    self._engine.put(name, start, rows)
            self._engine.run(ranges[-1][1])
            return self._answers(ranges, [batch[0].is_cpu() for batch in batches])
        except Exception as error:  # As above.
            return [_error(str(error), pb_utils.TritonError.INTERNAL)] * len(requests)

    def _taken(self, tensor: Any) -> Any:  # noqa: ANN401
        """An array of this machine's memory, or where a tensor lies in the GPU's."""
        if tensor.is_cpu():
            return tensor.as_numpy()
        from framelens_triton.cuda.arrays import taken

        stream = self._engine.stream
        return taken(tensor, stream.follow, stream.handle)

    def _answers(self, ranges: list[tuple[int, int]], on_host: list[bool]) -> list[Any]:
        """Each request's outputs, in the memory that its inputs were in."""
        host = self._engine.fetch(self._outputs, ranges[-1][1]) if any(on_host) else {}
        answers = []
        for (start, end), wants_host in zip(ranges, on_host, strict=True):
            tensors = [
                pb_utils.Tensor(name, host[name][start:end])
                if wants_host
                else pb_utils.Tensor.from_dlpack(name, self._engine.on_device(name, start, end))
                for name in self._outputs
            ]
            answers.append(pb_utils.InferenceResponse(tensors))
        return answers


def _ordinal(args: dict[str, str]) -> int:
    """The GPU that an instance is for; the first one for an instance that names none."""
    return int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else 0


def _error(message: str, code: int) -> Any:  # noqa: ANN401
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
