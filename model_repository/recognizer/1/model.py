"""Triton's side of the recognizer: tensors in, `framelens_triton.recognition` over all requests, tensors out."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from framelens_triton.cuda.arrays import DeviceArray
from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import Limits
from framelens_triton.images.errors import PictureError
from framelens_triton.images.resize import Pixels
from framelens_triton.models import ModelRepository
from framelens_triton.operations import available_operations
from framelens_triton.recognition import CallerGone, EngineUnavailable, Recognition, Recognizer, Request

_DETECTOR = "detector"
# What Triton says of a model that a request names and that is not there, or not yet.
_NOT_LOADED = ("unknown model", "is not found", "no available versions", "is not ready")


class TritonPythonModel:
    """One instance: recognises whatever Triton hands it at once as one batch."""

    def initialize(self, args: dict[str, str]) -> None:
        # The argument is this model's own folder; the engines lie beside it.
        self._engines = BlsEngines()
        models = ModelRepository(Path(args["model_repository"]).parent)
        operations, self._operations = available_operations(_gpu(args))
        pb_utils.Logger.log_info(f"{args['model_instance_name']}: {self._operations}")
        self._recognizer = Recognizer(models, self._engines, operations=operations)

    def execute(self, requests: list[Any]) -> list[Any]:
        responses: list[Any] = [None] * len(requests)
        pictures: dict[int, list[Request]] = {}
        for index, request in enumerate(requests):
            try:
                pictures[index] = _read(request)
            except _Refused as refused:
                responses[index] = refused.response
        with self._engines.belonging_to(_trace_of(requests)):
            flat, clock = self._recognizer.recognize([picture for batch in pictures.values() for picture in batch])
        stages_ms = np.array(list(clock.stages_ms.values()), np.float32)
        at = 0
        for index, batch in pictures.items():
            responses[index] = _respond(requests[index], flat[at : at + len(batch)], stages_ms, self._operations)
            at += len(batch)
        return responses

    def finalize(self) -> None:
        self._recognizer.close()


class BlsEngines:
    """The engines beside this model, called inside Triton."""

    def __init__(self) -> None:
        self._trace: Any = None

    @contextmanager
    def belonging_to(self, trace: Any) -> Iterator[None]:  # noqa: ANN401
        """Calls belong to a trace, where there is one. Triton does not end a trace that is held."""
        self._trace = trace
        try:
            yield
        finally:
            self._trace = None

    def infer(
        self, model: str, images: Pixels | DeviceArray, outputs: Sequence[str]
    ) -> dict[str, npt.NDArray[np.generic]]:
        request = pb_utils.InferenceRequest(
            model_name=model,
            requested_output_names=list(outputs),
            inputs=[_tensor(images)],
            **({"trace": self._trace} if self._trace else {}),
            **_placed(images),
        )
        response = request.exec()
        if response.has_error():
            message = response.error().message()
            raise EngineUnavailable(model, message, loaded=not any(said in message for said in _NOT_LOADED))
        return {tensor.name(): tensor.as_numpy() for tensor in response.output_tensors()}


def _gpu(args: dict[str, str]) -> int:
    """The GPU that an instance is for; the first one's for an instance that names none."""
    return int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else 0


def _tensor(images: Pixels | DeviceArray) -> Any:  # noqa: ANN401
    """On a GPU, the memory that the images are in; no copy is made."""
    on_gpu = isinstance(images, DeviceArray)
    return pb_utils.Tensor.from_dlpack("images", images) if on_gpu else pb_utils.Tensor("images", images)


def _placed(images: Pixels | DeviceArray) -> dict[str, Any]:
    """What an engine finds is small and looked at here, so an engine on a GPU is asked to bring it along."""
    if not isinstance(images, DeviceArray):
        return {}
    return {"preferred_memory": pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0)}


def _trace_of(requests: list[Any]) -> Any:  # noqa: ANN401
    """That of the first request of a batch that is traced; None where none is. The engines serve the batch at once."""
    return next((trace for trace in (request.trace() for request in requests) if trace.get_context()), None)


class _Refused(Exception):
    """A request that is not looked at; its answer is an error of the whole request."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.response = pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))


def _read(request: Any) -> list[Request]:  # noqa: ANN401
    """The pictures of one request; `regions`, when given, applies to each picture of its row."""
    if request.is_cancelled():
        raise _Refused("the caller has gone", pb_utils.TritonError.CANCELLED)
    parameters = json.loads(request.parameters() or "{}")
    regions = pb_utils.get_input_tensor_by_name(request, "regions")
    crops = "crops" in request.requested_output_names()
    if not parameters.get("embedder") and (crops or regions is not None):
        message = "parameter `embedder` is missing; name the embedder model that regions or crops are for"
        raise _Refused(message, pb_utils.TritonError.INVALID_ARG)
    try:
        asked = _asked(parameters)
    except (ValueError, OverflowError) as error:
        raise _Refused(f"a parameter is not a number: {error}", pb_utils.TritonError.INVALID_ARG) from error
    return [
        Request(
            data=bytes(data),
            regions=None if regions is None else tuple(Box(*map(float, box)) for box in regions.as_numpy()[row]),
            keep_crops=crops,
            is_cancelled=request.is_cancelled,
            **asked,
        )
        for row, data in enumerate(pb_utils.get_input_tensor_by_name(request, "picture").as_numpy()[:, 0])
    ]


def _asked(parameters: dict[str, Any]) -> dict[str, Any]:
    """What the parameters of a request say of all its pictures. Raises ValueError, OverflowError."""
    limits = Limits()
    return {
        "detector": str(parameters.get("detector", _DETECTOR)),
        "embedder": str(parameters.get("embedder") or "") or None,
        "min_score": float(parameters.get("min_score", Request.min_score)),
        "max_objects": int(parameters.get("max_objects", Request.max_objects)),
        "unnamed": int(parameters.get("unnamed", Request.unnamed)),
        "limits": Limits(
            max_bytes=int(parameters.get("max_bytes", limits.max_bytes)),
            max_pixels=int(parameters.get("max_pixels", limits.max_pixels)),
        ),
    }


def _respond(
    request: Any,  # noqa: ANN401
    results: list[Recognition],
    stages_ms: npt.NDArray[np.float32],
    operations: str,
) -> Any:  # noqa: ANN401
    wanted = set(request.requested_output_names())
    tensors = _tensors(results)
    tensors["stages_ms"] = np.tile(stages_ms, (len(results), 1))
    if "operations" in wanted:
        tensors["operations"] = np.full((len(results), 1), operations.encode(), np.object_)
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, tensor) for name, tensor in tensors.items() if name in wanted]
    )


def _tensors(results: list[Recognition]) -> dict[str, npt.NDArray[Any]]:
    pictures, rows = len(results), max(1, *(len(result.objects) for result in results), 1)
    found = [(at, row, item) for at, result in enumerate(results) for row, item in enumerate(result.objects)]
    width = max((item.embedding.size for *_, item in found if item.embedding is not None), default=1)
    boxes, scores = np.zeros((pictures, rows, 4), np.float32), np.zeros((pictures, rows), np.float32)
    embeddings = np.zeros((pictures, rows, width), np.float32)
    labels, crops = np.full((pictures, rows), b"", np.object_), np.full((pictures, rows), b"", np.object_)
    for at, row, item in found:
        boxes[at, row], scores[at, row] = item.box, item.score
        labels[at, row], crops[at, row] = item.label.encode(), item.crop
        if item.embedding is not None:
            embeddings[at, row, : item.embedding.size] = item.embedding
    sizes = [(r.picture.width, r.picture.height) if r.picture else (0, 0) for r in results]
    return {
        "count": np.array([[0 if r.error else len(r.objects)] for r in results], np.int32),
        "boxes": boxes,
        "labels": labels,
        "scores": scores,
        "embeddings": embeddings,
        "crops": crops,
        "picture_size": np.array(sizes, np.int32),
        "engines": np.array([[json.dumps(r.engines).encode()] for r in results], np.object_),
        "error": np.array([[_error(r)] for r in results], np.object_),
    }


def _error(result: Recognition) -> bytes:
    error = result.error
    if error is None:
        return b""
    if isinstance(error, PictureError):
        reason = error.reason
    elif isinstance(error, CallerGone):
        reason = "CANCELLED"
    else:
        missing_space = error.model == result.request.embedder and not error.loaded
        reason = "SPACE_NOT_LOADED" if missing_space else "TRITON_UNAVAILABLE"
    return json.dumps({"reason": reason, "message": str(error)}).encode()
