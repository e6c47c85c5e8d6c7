"""TritonRecognizer against a gRPC server that speaks Triton's protocol, and against nobody."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import numpy as np
import pytest
from gateway_fakes import free_port, unit
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import serialize_byte_tensor

from framelens_client.reasons import Reason
from framelens_gateway import recognizer as recognizer_module
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, InvalidRequest, Unavailable
from framelens_gateway.recognizer import STAGES, Box, RecognizerCall, TritonRecognizer

CALL = RecognizerCall(b"picture", "embedder_x")
TYPES = {np.dtype(np.float32): "FP32", np.dtype(np.int32): "INT32", np.dtype(object): "BYTES"}


def answer(**changed: Any) -> dict[str, np.ndarray]:
    """One object in the first of two places, as recognizer pads its outputs."""
    outputs = {
        "count": np.array([[1]], np.int32),
        "boxes": np.array([[[0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0]]], np.float32),
        "labels": np.array([[b"cup", b""]], object),
        "scores": np.array([[0.9, 0]], np.float32),
        "embeddings": np.stack([unit(1), unit(2)])[None],
        "picture_size": np.array([[640, 480]], np.int32),
        "engines": np.array([[json.dumps({"detector": "3"}).encode()]], object),
        "stages_ms": np.arange(len(STAGES), dtype=np.float32)[None],
        "error": np.array([[b""]], object),
        "crops": np.array([[b"jpeg", b""]], object),
    }
    return {**outputs, **changed}


def failed(reason: str) -> np.ndarray:
    return np.array([[json.dumps({"reason": reason, "message": "it says why"}).encode()]], object)


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.outputs = answer()
        self.models = {"recognizer", "detector"}
        self.abort: tuple[grpc.StatusCode, str] | None = None
        self.seconds = 0.0
        self.gone = False

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.gone = True
            raise
        if self.abort:
            await context.abort(*self.abort)
        response = service_pb2.ModelInferResponse(model_name=request.model_name)
        for name in (output.name for output in request.outputs):
            array = self.outputs[name]
            response.outputs.add(name=name, datatype=TYPES[array.dtype], shape=array.shape)
            raw = serialize_byte_tensor(array).item() if array.dtype == object else array.tobytes()
            response.raw_output_contents.append(raw)
        return response

    async def ModelConfig(self, request: Any, context: Any) -> Any:
        if request.name != "embedder_x":
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown model")
        response = service_pb2.ModelConfigResponse()
        response.config.output.add(name="embedding", dims=[1280])
        return response

    async def ModelReady(self, request: Any, context: Any) -> Any:
        return service_pb2.ModelReadyResponse(ready=request.name in self.models)


@pytest.fixture
async def triton() -> AsyncIterator[tuple[FakeTriton, TritonRecognizer]]:
    fake, server, port = FakeTriton(), grpc.aio.server(), free_port()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(fake, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    recognizer = TritonRecognizer(f"127.0.0.1:{port}", 1000, 2000)
    yield fake, recognizer
    await recognizer.close()
    await server.stop(None)


Triton = tuple[FakeTriton, TritonRecognizer]


async def test_reads_what_was_found(triton: Triton, soon: Deadline) -> None:
    fake, recognizer = triton
    recognition = await recognizer.recognize(CALL, soon)
    (cup,) = recognition.objects
    assert (cup.label, cup.score, cup.crop) == ("cup", pytest.approx(0.9), b"")
    assert cup.box == pytest.approx(Box(0.1, 0.2, 0.3, 0.4))
    assert np.array_equal(cup.embedding, unit(1))
    assert (recognition.engines, recognition.width, recognition.height) == ({"detector": "3"}, 640, 480)
    assert list(recognition.stages_ms) == list(STAGES)
    parameters = fake.requests[0].parameters
    assert parameters["embedder"].string_param == "embedder_x"
    assert parameters["detector"].string_param == "detector"
    assert parameters["max_pixels"].int64_param == 1000
    assert parameters["max_bytes"].int64_param == 2000
    assert 4e6 < parameters["timeout"].int64_param <= 5e6


async def test_regions_and_crops_are_asked_for(triton: Triton, soon: Deadline) -> None:
    fake, recognizer = triton
    call = RecognizerCall(b"picture", "embedder_x", (Box(0, 0, 0.5, 1),), crops=True)
    assert (await recognizer.recognize(call, soon)).objects[0].crop == b"jpeg"
    assert [each.name for each in fake.requests[0].inputs] == ["picture", "regions"]
    assert list(fake.requests[0].inputs[1].shape) == [1, 1, 4]


async def test_where_image_operations_work_is_asked_without_a_picture(triton: Triton) -> None:
    fake, recognizer = triton
    fake.outputs = {"operations": np.array([[b"image operations: CPU, because \xc3\xa4"]], object)}
    assert await recognizer.image_operations() == "image operations: CPU, because ä"
    (request,) = fake.requests
    assert request.raw_input_contents == [b"\0" * 4], "an empty string"
    assert [output.name for output in request.outputs] == ["operations"]
    assert request.parameters["timeout"].int64_param == 1_000_000


async def test_a_recognizer_of_before_cannot_say_where_its_operations_work(triton: Triton) -> None:
    fake, recognizer = triton
    fake.abort = (grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference output 'operations' for model 'recognizer'")
    assert "older than the gateway" in await recognizer.image_operations()
    fake.abort = (grpc.StatusCode.UNAVAILABLE, "no")
    with pytest.raises(Unavailable):
        await recognizer.image_operations()


async def test_an_answer_may_be_larger_than_grpc_lets_it_be(triton: Triton, soon: Deadline) -> None:
    fake, recognizer = triton
    fake.outputs = answer(crops=np.array([[b"x" * 5_000_000, b""]], object))
    found = await recognizer.recognize(RecognizerCall(b"picture", "embedder_x", crops=True), soon)
    assert len(found.objects[0].crop) == 5_000_000


async def test_a_host_that_vanishes_is_noticed_by_pings_during_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, int]] = []

    def connect(address: str, channel_args: list[tuple[str, int]]) -> None:
        made.append(dict(channel_args))

    monkeypatch.setattr(recognizer_module, "InferenceServerClient", connect)
    TritonRecognizer("127.0.0.1:1", 1000)
    pings = {name: value for name, value in made[0].items() if "keepalive" in name}
    assert pings == {
        "grpc.keepalive_time_ms": 30_000,
        "grpc.keepalive_timeout_ms": 10_000,
        "grpc.keepalive_permit_without_calls": 0,
    }


async def test_a_candidate_is_asked_by_its_names(triton: Triton, soon: Deadline) -> None:
    fake, recognizer = triton
    call = RecognizerCall(b"picture", "embedder_x", detector="detector__candidate", recognizer="recognizer__candidate")
    await recognizer.recognize(call, soon)
    assert fake.requests[0].model_name == "recognizer__candidate"
    assert fake.requests[0].parameters["detector"].string_param == "detector__candidate"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.INVALID_PICTURE, InvalidRequest),
        (Reason.UNSUPPORTED_FORMAT, InvalidRequest),
        (Reason.PICTURE_TOO_LARGE, InvalidRequest),
        (Reason.SPACE_NOT_LOADED, Unavailable),
    ],
)
async def test_what_recognizer_says_of_a_picture(
    triton: Triton, soon: Deadline, reason: Reason, kind: type[Exception]
) -> None:
    fake, recognizer = triton
    fake.outputs = answer(error=failed(reason))
    with pytest.raises(kind, match="it says why") as refused:
        await recognizer.recognize(CALL, soon)
    assert refused.value.reason is reason  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, "the stub died", Unavailable),
        (grpc.StatusCode.INTERNAL, "python error", Unavailable),
        (grpc.StatusCode.UNAVAILABLE, "Request timeout expired", DeadlineExceeded),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "late", DeadlineExceeded),
    ],
)
async def test_what_triton_says_of_a_call(
    triton: Triton, soon: Deadline, code: grpc.StatusCode, message: str, kind: type[Exception]
) -> None:
    fake, recognizer = triton
    fake.abort = code, message
    with pytest.raises(kind):
        await recognizer.recognize(CALL, soon)


async def test_the_deadline_ends_the_call(triton: Triton) -> None:
    fake, recognizer = triton
    fake.seconds = 5
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await recognizer.recognize(CALL, Deadline.after(0.1))
    assert time.monotonic() - started < 1
    with pytest.raises(DeadlineExceeded):
        await recognizer.recognize(CALL, Deadline.after(0))
    assert len(fake.requests) == 1


async def test_a_caller_that_goes_ends_the_call_in_triton(
    triton: Triton, soon: Deadline, until: Callable[..., Any]
) -> None:
    fake, recognizer = triton
    fake.seconds = 5
    call = asyncio.create_task(recognizer.recognize(CALL, soon))
    await until(lambda: fake.requests)
    call.cancel()
    await until(lambda: fake.gone)


async def test_the_width_of_a_space(triton: Triton) -> None:
    _, recognizer = triton
    assert await recognizer.embedding_size("embedder_x") == 1280
    with pytest.raises(Unavailable, match="embedder_y is not loaded") as refused:
        await recognizer.embedding_size("embedder_y")
    assert refused.value.reason is Reason.SPACE_NOT_LOADED
    assert await recognizer.ready()


async def test_a_model_that_is_not_loaded_is_not_ready(triton: Triton) -> None:
    fake, recognizer = triton
    assert await recognizer.model_ready("recognizer")
    assert not await recognizer.model_ready("detector__candidate")
    assert await recognizer.ready()
    fake.models.remove("detector")
    assert not await recognizer.ready()


async def test_a_detector_of_another_name_has_to_be_ready_too(triton: Triton) -> None:
    fake, recognizer = triton
    other = TritonRecognizer(recognizer._address, 1000, detector="yolo")
    assert not await other.ready()
    fake.models = {"recognizer", "yolo"}
    assert await other.ready()
    await other.close()


async def test_nobody_there_is_told_at_once_and_a_server_that_comes_is_found(
    soon: Deadline, until: Callable[..., Any]
) -> None:
    port = free_port()
    recognizer = TritonRecognizer(f"127.0.0.1:{port}", 1000, 2000)
    started = time.monotonic()
    for call in (
        recognizer.recognize(CALL, soon),
        recognizer.embedding_size("embedder_x"),
        recognizer.model_ready("m"),
    ):
        with pytest.raises(Unavailable, match="Triton did not answer: it cannot be reached") as refused:
            await call
        assert str(port) not in refused.value.message
        assert refused.value.reason is Reason.TRITON_UNAVAILABLE
    assert not await recognizer.ready()
    assert time.monotonic() - started < 2
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(FakeTriton(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    back = time.monotonic()
    while not await recognizer.ready():
        await asyncio.sleep(0.05)
    assert time.monotonic() - back < 3
    await recognizer.close()
    await server.stop(None)
