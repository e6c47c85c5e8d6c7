# ruff: noqa: S106 (tokens are no secrets)
"""Streams of frames, by both clients (`connect`), and what is of one kind alone."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from framelens_client import (
    AsyncClient,
    Cancelled,
    Client,
    DeadlineExceeded,
    Filter,
    InvalidRequest,
    Overloaded,
    RelatedOptions,
    StreamFrame,
    Unauthenticated,
    Unreachable,
)
from framelens_client.v1 import framelens_pb2 as pb


def frames(count: int) -> Iterator[StreamFrame]:
    for number in range(count):
        yield StreamFrame(str(number), b"picture")


def test_each_frame_is_answered_by_its_id(gateway: Any, connect: Callable[..., Any]) -> None:
    gateway.answered_together = 3
    answers = list(connect().recognize_stream(frames(7)))
    assert [answer.id for answer in answers] == list("2105436")
    assert {answer.recognition.objects[0].label for answer in answers} == {"cup"}
    assert not any(answer.error for answer in answers)
    assert len(gateway.calls) == 8, "one call for all frames"


def test_a_frame_says_all_that_recognize_says(gateway: Any, connect: Callable[..., Any], picture: Path) -> None:
    wanted = Filter(categories=("cups",), availabilities=("in_stock",))
    options: dict[str, Any] = {
        "top_k": 3,
        "min_score": 0.5,
        "filter": wanted,
        "use_boost": True,
        "min_object_score": 0.25,
        "max_objects": 2,
        "key": "user",
        "video_id": "v1",
        "timestamp_s": 0.0,
        "fresh": True,
        "related": RelatedOptions(account="ann", same_account=True, several_per_account=True),
        "unnamed_objects": False,
    }
    client = connect(token="secret")
    client.recognize(picture, **options)
    list(client.recognize_stream([StreamFrame("a", picture, 1.5, **options), StreamFrame("b", b"picture")]))
    alone, _, first, second = gateway.calls
    assert alone.request == pb.RecognizeRequest(
        picture=picture.read_bytes(),
        search=pb.SearchOptions(
            top_k=3,
            min_score=0.5,
            filter=pb.Filter(categories=["cups"], availabilities=["in_stock"]),
            use_boost=True,
        ),
        min_object_score=0.25,
        max_objects=2,
        key="user",
        video_id="v1",
        timestamp_s=0,
        fresh=True,
        related=pb.RelatedOptions(account="ann", same_account=True, several_per_account=True),
        unnamed_objects=False,
    )
    assert first.request == pb.RecognizeStreamRequest(id="a", request=alone.request, timeout_ms=1500)
    plain = pb.RecognizeRequest(picture=b"picture", search=pb.SearchOptions())
    assert second.request == pb.RecognizeStreamRequest(id="b", request=plain)


def test_an_error_of_one_frame_is_its_answer(gateway: Any, connect: Callable[..., Any]) -> None:
    gateway.frame_errors["1"] = pb.StreamError(reason="OVERLOADED", message="full", retry_after_ms=250)
    gateway.frame_errors["2"] = pb.StreamError(reason="OF_A_NEWER_SERVER", message="new")
    first, shed, new = connect().recognize_stream(frames(3))
    assert first.recognition and first.error is None
    assert isinstance(shed.error, Overloaded)
    assert (shed.recognition, shed.error.message, shed.error.retry_after_s) == (None, "full", 0.25)
    assert new.error.reason == "OF_A_NEWER_SERVER"


def test_no_frames_no_answers(connect: Callable[..., Any]) -> None:
    assert list(connect().recognize_stream([])) == []


def test_a_stream_that_is_refused_is_not_sent_again(
    gateway: Any, connect: Callable[..., Any], fail: Callable[..., Any]
) -> None:
    client = connect()
    gateway.failures += [
        fail(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
        fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=0.5),
        fail(grpc.StatusCode.UNAVAILABLE),
    ]
    for kind in (Unauthenticated, Overloaded, Unreachable):
        with pytest.raises(kind):
            list(client.recognize_stream(frames(3)))
    assert len(gateway.calls) == 3


def test_a_deadline_of_the_whole_stream(gateway: Any, connect: Callable[..., Any]) -> None:
    def slow() -> Iterator[StreamFrame]:
        yield StreamFrame("a", b"picture")
        time.sleep(1)

    with pytest.raises(DeadlineExceeded):
        list(connect().recognize_stream(slow(), timeout_s=0.3))
    assert gateway.calls[0].remaining_s < 0.35


def test_what_the_frames_raise_comes_after_the_answers_to_what_was_sent(connect: Callable[..., Any]) -> None:
    def failing() -> Iterator[StreamFrame]:
        yield from frames(2)
        raise KeyError("of the caller's own")

    seen = []
    with pytest.raises(KeyError, match="of the caller's own"):
        seen += connect().recognize_stream(failing())
    assert seen == [] or [answer.id for answer in seen] == ["0", "1"]


@pytest.mark.parametrize("wrong", [StreamFrame("a"), StreamFrame("\udcff", b"x"), StreamFrame("a", b"x", top_k=2**40)])
def test_what_no_message_can_carry_ends_the_stream(connect: Callable[..., Any], wrong: StreamFrame) -> None:
    with pytest.raises(InvalidRequest, match="the request cannot be sent"):
        list(connect().recognize_stream([wrong]))


def test_a_moment_needs_no_picture(gateway: Any, connect: Callable[..., Any]) -> None:
    client = connect()
    client.recognize(video_id="v1", timestamp_s=0.0)
    assert gateway.calls[0].request == pb.RecognizeRequest(search=pb.SearchOptions(), video_id="v1", timestamp_s=0)
    for named in ({}, {"video_id": "v1"}, {"timestamp_s": 1.0}):
        with pytest.raises(InvalidRequest, match="give a picture, or video_id and timestamp_s"):
            client.recognize(**named)
    assert len(gateway.calls) == 1


def test_frames_are_taken_as_they_are_answered(gateway: Any) -> None:
    gateway.answered_together = 100
    taken = 0

    def counted() -> Iterator[StreamFrame]:
        nonlocal taken
        for frame in frames(20):
            taken += 1
            yield frame

    def read(client: Client) -> None:
        with suppress(Cancelled):
            list(client.recognize_stream(counted(), max_under_way=4))

    with ThreadPoolExecutor(1) as pool:
        with Client(gateway.address) as client:
            reading = pool.submit(read, client)
            time.sleep(0.3)
            assert (taken, len(gateway.taken)) == (4, 4)
        reading.result(5)


async def test_async_frames_are_taken_as_they_are_answered(gateway: Any) -> None:
    gateway.answered_together = 100
    taken, ended = 0, False

    async def counted() -> AsyncIterator[StreamFrame]:
        nonlocal taken, ended
        try:
            for frame in frames(20):
                taken += 1
                yield frame
        finally:
            ended = True

    async with AsyncClient(gateway.address) as client:
        task = asyncio.create_task(anext(aiter(client.recognize_stream(counted(), max_under_way=4))))
        await asyncio.sleep(0.3)
        assert (taken, len(gateway.taken)) == (4, 4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_who_stops_reading_ends_the_stream(gateway: Any) -> None:
    threads = threading.active_count()

    def endless() -> Iterator[StreamFrame]:
        number = 0
        while True:
            number += 1
            yield StreamFrame(str(number), b"picture")

    with Client(gateway.address) as client:
        for answer in client.recognize_stream(endless()):
            if answer.id == "5":
                break
        time.sleep(0.3)
        taken = len(gateway.taken)
        time.sleep(0.2)
        assert len(gateway.taken) == taken
        assert client.recognize(b"picture").objects
    assert threading.active_count() <= threads + 1


async def test_answers_come_while_frames_are_still_awaited(gateway: Any) -> None:
    queue: asyncio.Queue[StreamFrame] = asyncio.Queue()

    async def live() -> AsyncIterator[StreamFrame]:
        while True:
            yield await queue.get()

    async with AsyncClient(gateway.address) as client:
        answers = client.recognize_stream(live())
        for number in range(5):
            queue.put_nowait(StreamFrame(str(number), b"picture"))
            assert (await anext(aiter(answers))).id == str(number)
