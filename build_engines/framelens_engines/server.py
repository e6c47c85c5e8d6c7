"""One Triton server, as an operator of engines sees it: what it serves, load, unload, and questions to one version."""

import time
import urllib.request
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from framelens_engines.errors import ServerError
from framelens_engines.tensors import IMAGES, Answer

_READY = "READY"
# Loading a plan on a busy machine takes its time; an answer does not.
_LOAD_TIMEOUT_S = 300
_ANSWER_TIMEOUT_S = 30
_METRICS_TIMEOUT_S = 5
# An operator's questions take a third of the time at most; the rest is the callers'.
_PAUSE_OVER_ANSWER = 2
_MEMORY_METRICS = {"nv_cpu_memory_total_bytes": 1, "nv_cpu_memory_used_bytes": -1}


@dataclass(frozen=True)
class ServerAddress:
    """HOST:PORT of a Triton's gRPC endpoint, and of its metrics."""

    grpc: str
    metrics: str


class TritonServer:
    """A Triton under explicit model control. Every method raises ServerError, which names the server."""

    def __init__(self, address: ServerAddress) -> None:
        self.name = address.grpc
        self._metrics = address.metrics
        self._client = InferenceServerClient(address.grpc)

    def close(self) -> None:
        self._client.close()

    def serving(self, model: str) -> int | None:
        """The version that callers get who name none; None where the model is not loaded."""
        try:
            index = self._client.get_model_repository_index(as_json=True, client_timeout=_ANSWER_TIMEOUT_S)
        except InferenceServerException as error:
            raise self._failure("does not say what it serves", error) from error
        ready = [
            int(entry["version"])
            for entry in index.get("models", ())
            if entry["name"] == model and entry.get("state") == _READY
        ]
        return max(ready, default=None)

    def load(self, model: str) -> None:
        """What is new in the model's folder is served once this returns; where it fails, what was served still is."""
        try:
            self._client.load_model(model, client_timeout=_LOAD_TIMEOUT_S)
        except InferenceServerException as error:
            raise self._failure(f"could not load {model}", error) from error

    def unload(self, model: str) -> None:
        """Requests in flight are finished."""
        try:
            self._client.unload_model(model, client_timeout=_LOAD_TIMEOUT_S)
        except InferenceServerException as error:
            raise self._failure(f"could not unload {model}", error) from error

    def ask(self, model: str, version: int, images: NDArray[np.uint8]) -> Answer:
        """All outputs of one version for uint8 (N, height, width, 3).

        One picture at a time, with pauses: callers' requests go in between, where a batch would hold them up.
        """
        answers = []
        for at in range(len(images)):
            started = time.monotonic()
            answers.append(self._ask(model, version, images[at : at + 1]))
            time.sleep(_PAUSE_OVER_ANSWER * (time.monotonic() - started))
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def _ask(self, model: str, version: int, images: NDArray[np.uint8]) -> Answer:
        tensor = InferInput(IMAGES, list(images.shape), "UINT8")
        tensor.set_data_from_numpy(images)
        try:
            result = self._client.infer(model, [tensor], model_version=str(version), client_timeout=_ANSWER_TIMEOUT_S)
        except InferenceServerException as error:
            raise self._failure(f"{model}/{version} does not answer", error) from error
        return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}

    def free_memory_bytes(self) -> int:
        """Of the machine that the server runs on, as its metrics say."""
        url = f"http://{self._metrics}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=_METRICS_TIMEOUT_S) as answer:
                lines = answer.read().decode().splitlines()
        except (OSError, ValueError) as error:
            raise ServerError(
                f"{url} does not say how much memory is free ({error}); name the metrics port of {self.name}"
            ) from error
        values = dict(line.rsplit(" ", 1) for line in lines if line.startswith(tuple(_MEMORY_METRICS)))
        if values.keys() != _MEMORY_METRICS.keys():
            raise ServerError(f"{url} has no metrics {' and '.join(_MEMORY_METRICS)}; is it Triton's metrics endpoint?")
        return round(sum(sign * float(values[name]) for name, sign in _MEMORY_METRICS.items()))

    def _failure(self, what: str, error: InferenceServerException) -> ServerError:
        return ServerError(f"Triton at {self.name} {what}: {error.message()}")
