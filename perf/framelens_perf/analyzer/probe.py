"""Asks a model directly: whether it is there, what it takes, and whether it answers before load is put on it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tritonclient.grpc import InferenceServerClient, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from framelens_perf.analyzer.errors import RunError
from framelens_perf.analyzer.inputs import IMAGES, PICTURE, ModelInput

# As long as what an overloaded point leaves in the queues may take.
_DRAIN_S = 120.0
_CALL_S = 10.0


class ProbedModel:
    """One model of a running Triton. Every call raises RunError."""

    def __init__(self, client: InferenceServerClient, address: str, model: str) -> None:
        self._client, self._address, self._model = client, address, model

    def check_ready(self) -> None:
        with self._explained("is not reachable"):
            if not self._client.is_model_ready(self._model, client_timeout=_CALL_S):
                raise RunError(f"{self._model} is not loaded in the Triton at {self._address}; run `make engines`")

    def input_size(self) -> tuple[int, int]:
        """Height and width of an engine's input."""
        with self._explained("does not tell its input"):
            metadata = self._client.get_model_metadata(self._model, client_timeout=_CALL_S)
        shapes = {each.name: list(each.shape) for each in metadata.inputs}
        shape = shapes.get(IMAGES, [])
        if len(shape) != 4 or shape[3] != 3:
            raise RunError(f"{self._model} takes {shapes}; an engine takes {IMAGES} of [batch, height, width, 3]")
        return int(shape[1]), int(shape[2])

    def ask(self, asked: ModelInput, parameters: dict[str, str]) -> dict[str, str]:
        """Every value once; returns the engine versions that answered, by model.

        recognizer answers OK even of a picture that it could not use, which perf_analyzer would count as success, so
        what it says is read here.
        """
        return self._recognize_all(asked, parameters) if asked.name == PICTURE else self._infer_all(asked)

    def _infer_all(self, asked: ModelInput) -> dict[str, str]:
        version = ""
        for value in asked.values:
            with self._explained("does not answer"):
                answer = self._client.infer(self._model, [asked.tensor(value)], client_timeout=_DRAIN_S)
            version = answer.get_response().model_version
        return {self._model: version}

    def _recognize_all(self, asked: ModelInput, parameters: dict[str, str]) -> dict[str, str]:
        engines: dict[str, str] = {}
        outputs = [InferRequestedOutput(name) for name in ("error", "engines")]
        for value in asked.values:
            with self._explained("does not answer"):
                answer = self._client.infer(
                    self._model,
                    [asked.tensor(value)],
                    outputs=outputs,
                    parameters=parameters,
                    client_timeout=_DRAIN_S,
                )
            if error := answer.as_numpy("error")[0, 0]:
                raise RunError(f"{self._model} at {self._address}: {json.loads(error)['message']}")
            engines |= json.loads(answer.as_numpy("engines")[0, 0])
        return engines

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except InferenceServerException as error:
            raise RunError(f"{self._model} of the Triton at {self._address} {what}: {error.message()}") from error


@contextmanager
def connected(address: str, model: str) -> Iterator[ProbedModel]:
    """Raises RunError."""
    with InferenceServerClient(address) as client:
        yield ProbedModel(client, address, model)
