"""Writes are flushed soon, once, and in spite of failures."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from gateway_fakes import FakeIndex

from framelens_client.reasons import Reason
from framelens_gateway.errors import Unavailable
from framelens_gateway.flushing import Flusher
from framelens_gateway.milvus import CollectionGone

QUIET_S = 0.05
AWAY = Unavailable(Reason.MILVUS_UNAVAILABLE, "away")


async def test_waits_for_quiet_and_flushes_once(index: FakeIndex, until: Callable[..., Any]) -> None:
    flusher = Flusher(index, QUIET_S)
    started = time.monotonic()
    for _ in range(5):
        flusher.wrote("products")
        await asyncio.sleep(QUIET_S / 5)
    assert index.of("flush") == []
    await until(lambda: index.of("flush"))
    assert time.monotonic() - started >= QUIET_S * 1.7
    await asyncio.sleep(QUIET_S * 2)
    assert index.of("flush") == [("products",)]
    assert flusher._tasks == {}


async def test_writes_that_never_pause_are_flushed_too(index: FakeIndex) -> None:
    flusher = Flusher(index, 0.02)
    for _ in range(70):
        flusher.wrote("products")
        await asyncio.sleep(0.01)
    assert 2 <= len(index.of("flush")) <= 5
    await flusher.close()


async def test_a_failed_flush_is_tried_again_without_a_busy_loop(index: FakeIndex, until: Callable[..., Any]) -> None:
    index.fail("flush", AWAY)
    flusher = Flusher(index, QUIET_S)
    flusher.wrote("products")
    await asyncio.sleep(QUIET_S * 6)
    assert 2 <= len(index.of("flush")) <= 6
    index.faults.clear()
    tried = len(index.of("flush"))
    await until(lambda: not flusher._tasks)
    assert len(index.of("flush")) == tried + 1


async def test_a_collection_that_was_dropped_is_left_alone(index: FakeIndex, until: Callable[..., Any]) -> None:
    index.fail("flush", CollectionGone(Reason.MILVUS_UNAVAILABLE, "gone"))
    flusher = Flusher(index, 0.01)
    flusher.wrote("products")
    await until(lambda: not flusher._tasks)
    assert index.of("flush") == [("products",)]
    await flusher.close()


async def test_a_write_during_a_flush_is_flushed_after_it(index: FakeIndex, until: Callable[..., Any]) -> None:
    gate = asyncio.Event()
    index.fail("flush", gate=gate)
    flusher = Flusher(index, 0.01)
    flusher.wrote("products")
    await until(lambda: index.of("flush"))
    flusher.wrote("products")
    gate.set()
    await until(lambda: not flusher._tasks)
    assert len(index.of("flush")) == 2


async def test_close_flushes_what_is_waiting(index: FakeIndex) -> None:
    flusher = Flusher(index, 60)
    flusher.wrote("products")
    flusher.wrote("videos")
    await flusher.close()
    assert index.of("flush") == [("products",), ("videos",)]


async def test_close_reports_what_it_could_not_flush(index: FakeIndex, caplog: pytest.LogCaptureFixture) -> None:
    index.fail("flush", AWAY)
    flusher = Flusher(index, 60)
    flusher.wrote("products")
    await flusher.close()
    assert "could not flush products at shutdown" in caplog.text


async def test_a_write_while_closing_does_no_harm(index: FakeIndex) -> None:
    gate = asyncio.Event()
    index.fail("flush", gate=gate)
    flusher = Flusher(index, 60)
    flusher.wrote("products")
    closing = asyncio.create_task(flusher.close())
    await asyncio.sleep(0.01)
    flusher.wrote("videos")
    gate.set()
    await closing
    for task in flusher._tasks.values():
        task.cancel()


async def test_after_an_unforeseen_failure_the_next_write_is_flushed(
    index: FakeIndex, until: Callable[..., Any]
) -> None:
    index.fail("flush", RuntimeError("unforeseen"))
    flusher = Flusher(index, 0.01)
    flusher.wrote("products")
    task = flusher._tasks["products"]
    with pytest.raises(RuntimeError):
        await task
    index.faults.clear()
    flusher.wrote("products")
    await until(lambda: not flusher._tasks)
    assert len(index.of("flush")) == 2
