"""What the parts say reaches gRPC health, readiness and metrics."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from gateway_fakes import SPACE, FakeIndex, FakeRecognizer
from grpc_health.v1 import health_pb2

from framelens_client.reasons import Reason
from framelens_gateway import health as health_module
from framelens_gateway.errors import DeadlineExceeded, Unavailable
from framelens_gateway.health import Health
from framelens_gateway.metrics import Metrics

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Context:
    """Of one Check."""

    def __init__(self) -> None:
        self.trailers: dict[str, bytes] = {}

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...]) -> None:
        self.trailers.update(metadata)


async def status(health: Health, service: str) -> int:
    answer = await health.servicer.Check(health_pb2.HealthCheckRequest(service=service), Context())
    return int(answer.status)


async def details(health: Health) -> dict[str, str] | None:
    context = Context()
    await health.servicer.Check(health_pb2.HealthCheckRequest(service=""), context)
    return json.loads(context.trailers["framelens-details-bin"]) if context.trailers else None


async def test_follows_its_parts(
    health: Health,
    recognizer: FakeRecognizer,
    metrics: Metrics,
    until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health_module, "_EVERY_S", 0.01)
    await health.begin()
    assert not health.ready
    watching = asyncio.create_task(health.watch())
    await until(lambda: health.ready)
    assert [await status(health, name) for name in ("", "framelens.v1.Catalog", "triton")] == [SERVING] * 3
    recognizer.is_ready = False
    await until(lambda: not health.ready)
    assert health.parts == {"triton": False, "milvus": True, "space": True}
    await asyncio.sleep(0.03)
    names = ("", "framelens.v1.VisualSearch", "triton", "milvus")
    assert [await status(health, name) for name in names] == [SERVING, NOT_SERVING, NOT_SERVING, SERVING]
    assert metrics.registry.get_sample_value("framelens_part_up", {"part": "triton"}) == 0
    recognizer.is_ready = True
    await until(lambda: health.ready)
    watching.cancel()
    await health.stop_serving()
    assert await status(health, "") == NOT_SERVING
    assert not health.ready


async def test_a_part_that_cannot_even_be_asked_is_not_up_and_the_watch_goes_on(
    health: Health,
    index: FakeIndex,
    until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(health_module, "_EVERY_S", 0.01)
    index.fail("ready", ValueError("Cannot invoke RPC on closed channel!"))
    watching = asyncio.create_task(health.watch())
    await until(lambda: health.parts["triton"])
    assert not health.parts["milvus"]
    index.faults.clear()
    await until(lambda: health.ready)
    watching.cancel()
    assert "closed channel" in caplog.text


async def test_before_the_first_look_the_process_serves_and_no_service_does(health: Health) -> None:
    await health.begin()
    names = ("", "framelens.v1.VisualSearch", "framelens.v1.Catalog", "framelens.v1.Trials", "triton", "space")
    assert [await status(health, name) for name in names] == [SERVING, *[NOT_SERVING] * 5]


async def test_a_live_space_that_is_not_loaded_is_not_ready(
    health: Health, recognizer: FakeRecognizer, index: FakeIndex
) -> None:
    recognizer.models.remove(SPACE)
    await health._look()
    assert health.parts == {"triton": True, "milvus": True, "space": False}
    assert await status(health, "framelens.v1.VisualSearch") == NOT_SERVING
    recognizer.models.add("embedder_next")
    index.add_collection(space="embedder_next")
    await health._look()
    assert health.ready


async def test_an_alias_that_is_not_there_yet_needs_no_space(health: Health, index: FakeIndex) -> None:
    index.aliases.clear()
    await health._look()
    assert health.ready
    assert index.of("create") == []


async def test_a_part_that_does_not_say_how_it_is_is_not_ready(
    health: Health, index: FakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "_ANSWER_S", 0.01)
    index.fail("ready", gate=asyncio.Event())
    await health._look()
    assert health.parts == {"triton": True, "milvus": False, "space": True}


async def test_what_triton_says_of_itself_is_asked_once_and_forgotten_when_it_is_away(
    health: Health, recognizer: FakeRecognizer
) -> None:
    assert await details(health) is None
    await health._look()
    said = {"triton": "image operations: CPU, because this is a test"}
    assert health.details == await details(health) == said
    recognizer.operations = "image operations: GPU 0"
    await health._look()
    assert health.details == said, "it was asked again"
    recognizer.is_ready = False
    await health._look()
    assert health.details == {}
    recognizer.is_ready = True
    await health._look()
    assert health.details == {"triton": "image operations: GPU 0"}


@pytest.mark.parametrize("error", [Unavailable(Reason.TRITON_UNAVAILABLE, "no"), DeadlineExceeded("recognition")])
async def test_a_triton_too_busy_to_say_it_is_ready_and_asked_at_the_next_look(
    health: Health, recognizer: FakeRecognizer, error: Exception
) -> None:
    recognizer.operations_error = error
    await health._look()
    assert (health.ready, health.details) == (True, {})
    recognizer.operations_error = None
    await health._look()
    assert health.details == {"triton": recognizer.operations}
