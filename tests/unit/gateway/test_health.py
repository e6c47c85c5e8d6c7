"""What the parts say reaches gRPC health, readiness and metrics."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from gateway_fakes import SPACE, FakeIndex, FakeRecognizer
from grpc_health.v1 import health_pb2

from framelens_gateway import health as health_module
from framelens_gateway.health import Health
from framelens_gateway.metrics import Metrics

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def status(health: Health, service: str) -> int:
    answer = await health.servicer.Check(health_pb2.HealthCheckRequest(service=service), None)
    return int(answer.status)


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
