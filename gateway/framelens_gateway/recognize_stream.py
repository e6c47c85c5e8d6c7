"""RecognizeStream: many frames over one connection, each answered as a call of its own."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import GatewayError, InvalidRequest, Overloaded

MAX_ID_BYTES = 64

# Answers what it reads once it has a permit, within so many seconds, or its default. Raises GatewayError.
AnswerFrame = Callable[[Callable[[], Awaitable[Message]], float | None], Awaitable[Any]]
_Answering = asyncio.Task[pb.RecognizeStreamResponse]


class RecognizeStream:
    """Answers frames by their ids, as soon as each is ready."""

    def __init__(self, answer: AnswerFrame, max_in_flight: int) -> None:
        self._answer = answer
        self._max_in_flight = max_in_flight

    async def answers(
        self, requests: AsyncIterator[pb.RecognizeStreamRequest], _: Deadline | None
    ) -> AsyncGenerator[pb.RecognizeStreamResponse, None]:
        """Reads no further while `max_in_flight` frames are under way, which each is until its answer is taken."""
        frames = _Frames(self._answer, self._max_in_flight)
        reading = asyncio.create_task(frames.read(requests))
        reading.add_done_callback(lambda _: frames.done.put_nowait(None))
        try:
            while frames.under_way or not reading.done():
                task = await frames.done.get()
                if task is not None:
                    # Before it is sent: its caller may give the id again as soon as it sees the answer.
                    del frames.under_way[task]
                    yield task.result()
                    frames.free.release()
            # Raises what ended the reading, once the frames before it are answered.
            reading.result()
        finally:
            await _end(reading, *frames.under_way)


class _Frames:
    """What is under way of one stream."""

    def __init__(self, answer: AnswerFrame, most: int) -> None:
        self._answer = answer
        self.free = asyncio.Semaphore(most)
        self.under_way: dict[_Answering, str] = {}
        self.done: asyncio.Queue[_Answering | None] = asyncio.Queue()

    async def read(self, requests: AsyncIterator[pb.RecognizeStreamRequest]) -> None:
        await self.free.acquire()
        async for frame in requests:
            self._begin(frame)
            await self.free.acquire()

    def _begin(self, frame: pb.RecognizeStreamRequest) -> None:
        task = asyncio.create_task(self._answered(frame, repeats=frame.id in self.under_way.values()))
        self.under_way[task] = frame.id
        task.add_done_callback(self.done.put_nowait)

    async def _answered(self, frame: pb.RecognizeStreamRequest, *, repeats: bool) -> pb.RecognizeStreamResponse:
        async def read() -> Message:
            _check(frame, repeats=repeats)
            return frame.request

        try:
            response = await self._answer(read, frame.timeout_ms / 1e3 if _is_timed(frame) else None)
            return pb.RecognizeStreamResponse(id=frame.id, response=response)
        except GatewayError as error:
            return pb.RecognizeStreamResponse(id=frame.id, error=_stream_error(error))


def _check(frame: pb.RecognizeStreamRequest, *, repeats: bool) -> None:
    """Raises InvalidRequest."""
    if not frame.id:
        raise InvalidRequest("a frame without id; give it one, by which its answer is known")
    size = len(frame.id.encode())
    if size > MAX_ID_BYTES:
        raise InvalidRequest(f"the frame's id has {size} bytes; the limit is {MAX_ID_BYTES}")
    if repeats:
        raise InvalidRequest(f"frame {frame.id!r} is under way already; give each frame an id of its own")
    if not frame.HasField("request"):
        raise InvalidRequest(f"frame {frame.id!r} brings no request")
    if frame.HasField("timeout_ms") and not _is_timed(frame):
        raise InvalidRequest(f"timeout_ms is {frame.timeout_ms:g}; it must be a number of milliseconds above 0")


def _is_timed(frame: pb.RecognizeStreamRequest) -> bool:
    return frame.timeout_ms > 0 and math.isfinite(frame.timeout_ms)


def _stream_error(error: GatewayError) -> pb.StreamError:
    retry_after_ms = error.retry_after_s * 1e3 if isinstance(error, Overloaded) else None
    return pb.StreamError(reason=error.reason, message=error.message, retry_after_ms=retry_after_ms)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
