"""The seam to Triton: one encoded picture in, objects with embeddings out."""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import grpc
import numpy as np
import numpy.typing as npt
from opentelemetry.trace import SpanKind
from tritonclient.grpc.aio import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

from framelens_client.reasons import STATUS_OF, Reason
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, GatewayError, InvalidRequest, Unavailable
from framelens_gateway.tracing import part_span, trace_headers

log = logging.getLogger(__name__)

RECOGNIZER = "recognizer"
DETECTOR = "detector"
# The order of the recognizer's `stages_ms`; its config.pbtxt says the same.
STAGES = ("decode", "resize", "detect", "nms", "crop", "embed")
_OUTPUTS = ("count", "boxes", "labels", "scores", "embeddings", "picture_size", "engines", "stages_ms", "error")
_CHANNEL = [
    # Triton restarts in seconds: look for it more often than gRPC's default of two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A host that vanishes closes no connection. Pings are few, and only during calls: servers hang up on more.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # Unbounded, and not the 4 MB of gRPC: what Triton answers is bounded by what it was asked.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]
_QUEUE_TIMEOUT = "Request timeout expired"
_OPERATIONS = "operations"
# Of a request for what `recognizer` says of itself: behind a full queue it is asked again, and nothing waits for it.
_TELL_S = 1.0
# gRPC's own failures to connect.
_NAMES_AN_ADDRESS = re.compile(r"\b(ipv4|ipv6|unix|dns):|DNS resolution")


class Box(NamedTuple):
    """x_min, y_min, x_max, y_max in 0..1 of the picture as displayed."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


WHOLE_PICTURE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class RecognizerCall:
    """One picture, what is asked of it, and the models that answer; with regions, nothing is detected."""

    picture: bytes
    embedder: str
    regions: tuple[Box, ...] | None = None
    min_score: float = 0.5
    max_objects: int = 8
    # Boxes of things without a name that come after the objects, at most.
    unnamed: int = 0
    crops: bool = False
    detector: str = DETECTOR
    recognizer: str = RECOGNIZER


@dataclass(frozen=True)
class FoundObject:
    label: str
    score: float
    box: Box
    embedding: npt.NDArray[np.float32]
    crop: bytes = b""


@dataclass(frozen=True)
class Recognition:
    """The objects of one picture, the engine versions that answered, and milliseconds by stage."""

    objects: Sequence[FoundObject]
    engines: dict[str, str]
    stages_ms: dict[str, float]
    width: int
    height: int


class Recognizes(Protocol):
    """All that a search asks of it. Raises InvalidRequest for a picture or region that cannot be used, Unavailable,
    DeadlineExceeded.
    """

    async def recognize(self, call: RecognizerCall, deadline: Deadline) -> Recognition: ...


class Recognizer(Recognizes, Protocol):
    """Answers for its models too. Raises Unavailable."""

    async def embedding_size(self, embedder: str) -> int: ...

    async def model_ready(self, model: str) -> bool: ...

    async def ready(self) -> bool: ...

    async def image_operations(self) -> str: ...


class TritonRecognizer:
    """The `recognizer` model of a Triton server."""

    def __init__(
        self, address: str, max_picture_pixels: int, max_picture_bytes: int = 20 * 2**20, detector: str = DETECTOR
    ) -> None:
        """`detector` is one of the models that have to be ready; a call names its own."""
        self._address, self._detector = address, detector
        self._client = InferenceServerClient(address, channel_args=_CHANNEL)
        self._max_pixels, self._max_bytes = max_picture_pixels, max_picture_bytes

    async def close(self) -> None:
        await self._client.close()

    async def recognize(self, call: RecognizerCall, deadline: Deadline) -> Recognition:
        with part_span(RECOGNIZER, SpanKind.CLIENT):
            return await self._infer(call, deadline.remaining("the wait for recognizer"))

    async def _infer(self, call: RecognizerCall, left: float) -> Recognition:
        outputs = (*_OUTPUTS, "crops") if call.crops else _OUTPUTS
        try:
            result = await self._client.infer(
                call.recognizer,
                _inputs(call),
                outputs=[InferRequestedOutput(name) for name in outputs],
                # `timeout` evicts from Triton's queue, `client_timeout` ends the call.
                timeout=max(1, int(left * 1e6)),
                client_timeout=left,
                headers=trace_headers(),
                parameters={
                    "detector": call.detector,
                    "embedder": call.embedder,
                    "min_score": str(call.min_score),
                    "max_objects": call.max_objects,
                    "unnamed": call.unnamed,
                    "max_pixels": self._max_pixels,
                    "max_bytes": self._max_bytes,
                },
            )
        except InferenceServerException as error:
            raise self._failure(error) from error
        return _recognition(result, call.crops)

    async def embedding_size(self, embedder: str) -> int:
        """The width of an embedder's vectors. Raises Unavailable where it is not loaded."""
        try:
            answer = await self._client.get_model_config(embedder, as_json=True, client_timeout=5)
        except InferenceServerException as error:
            if _code(error) in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise Unavailable(
                    Reason.SPACE_NOT_LOADED, f"space {embedder} is not loaded in Triton; load it, or change the alias"
                ) from error
            raise self._failure(error) from error
        outputs = {output["name"]: output["dims"] for output in answer["config"]["output"]}
        return int(outputs["embedding"][0])

    async def model_ready(self, model: str) -> bool:
        """Whether Triton has loaded a model. Raises Unavailable where Triton does not answer."""
        try:
            return bool(await self._client.is_model_ready(model, client_timeout=2))
        except InferenceServerException as error:
            raise self._failure(error) from error

    async def ready(self) -> bool:
        """Whether the models are loaded that every picture needs."""
        try:
            return await self.model_ready(RECOGNIZER) and await self.model_ready(self._detector)
        except GatewayError:
            return False

    async def image_operations(self) -> str:
        """Where pictures are decoded, resized and cut, and why there, as a sentence. Raises Unavailable,
        DeadlineExceeded.
        """
        # It says so beside any answer, and refuses an empty picture before it has cost anything.
        call = RecognizerCall(b"", embedder="none")
        try:
            result = await self._client.infer(
                RECOGNIZER,
                _inputs(call),
                outputs=[InferRequestedOutput(_OPERATIONS)],
                timeout=int(_TELL_S * 1e6),
                client_timeout=_TELL_S,
                parameters={"detector": self._detector, "embedder": call.embedder},
            )
        except InferenceServerException as error:
            if _code(error) is grpc.StatusCode.INVALID_ARGUMENT:
                return "image operations: not known, for this recognizer is older than the gateway"
            raise self._failure(error) from error
        return str(result.as_numpy(_OPERATIONS)[0, 0].decode())

    def _failure(self, error: InferenceServerException) -> GatewayError:
        message = error.message() or ""
        if _code(error) is grpc.StatusCode.DEADLINE_EXCEEDED or _QUEUE_TIMEOUT in message:
            return DeadlineExceeded("recognition")
        # Callers are told which part it is; where that stands is for the log.
        log.debug("Triton at %s: %s: %s", self._address, error.status(), message)
        said = "it cannot be reached" if _NAMES_AN_ADDRESS.search(message) else message
        return Unavailable(Reason.TRITON_UNAVAILABLE, f"Triton did not answer: {said}")


def _code(error: InferenceServerException) -> grpc.StatusCode | None:
    """tritonclient carries the status as text, such as `StatusCode.UNAVAILABLE`."""
    return grpc.StatusCode.__members__.get(str(error.status()).removeprefix("StatusCode."))


def _inputs(call: RecognizerCall) -> list[InferInput]:
    picture = InferInput("picture", [1, 1], "BYTES")
    picture.set_data_from_numpy(np.array([[call.picture]], np.object_))
    if call.regions is None:
        return [picture]
    regions = InferInput("regions", [1, len(call.regions), 4], "FP32")
    regions.set_data_from_numpy(np.array([call.regions], np.float32))
    return [picture, regions]


def _recognition(result: InferResult, crops: bool) -> Recognition:
    error = result.as_numpy("error")[0, 0]
    if error:
        raise _picture_failure(json.loads(error))
    boxes, labels, scores = (result.as_numpy(name)[0] for name in ("boxes", "labels", "scores"))
    embeddings = result.as_numpy("embeddings")[0]
    crop_bytes = result.as_numpy("crops")[0] if crops else [b""] * len(boxes)
    width, height = result.as_numpy("picture_size")[0]
    return Recognition(
        objects=[
            FoundObject(
                labels[i].decode(), float(scores[i]), Box(*map(float, boxes[i])), embeddings[i], bytes(crop_bytes[i])
            )
            for i in range(int(result.as_numpy("count")[0, 0]))
        ],
        engines=json.loads(result.as_numpy("engines")[0, 0]),
        stages_ms=dict(zip(STAGES, map(float, result.as_numpy("stages_ms")[0]), strict=True)),
        width=int(width),
        height=int(height),
    )


def _picture_failure(error: dict[str, str]) -> GatewayError:
    """What recognizer says of one picture: the caller's fault, or an engine that is missing."""
    reason = Reason(error["reason"])
    if STATUS_OF[reason][0] is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(reason, error["message"])
    return InvalidRequest(error["message"], reason)
