"""The requests of a stream on their way, so that what takes them can wait and what taking them raises is not lost."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import grpc
from google.protobuf.message import Message


class Sending(Iterator[Message]):
    """For gRPC's own thread, which takes one after the other and would do no more than log what that raises.

    The next is taken once fewer than `most` wait for their answers; any number may without it.
    """

    def __init__(self, requests: Iterable[Message], most: int | None = None) -> None:
        self._requests = iter(requests)
        self._free = None if most is None else threading.Semaphore(most)
        self._closed = False
        self.failure: Exception | None = None

    def __next__(self) -> Message:
        if self._free:
            self._free.acquire()
        if self._closed:
            raise StopIteration
        try:
            return next(self._requests)
        except StopIteration:
            raise
        except Exception as error:
            self.failure = error
            raise StopIteration from error

    def answered(self) -> None:
        if self._free:
            self._free.release()

    def close(self) -> None:
        self._closed = True
        self.answered()


class AsyncSending:
    """For a task of its own: gRPC's would outlive its call while it waits for the next request."""

    def __init__(self, requests: AsyncIterator[Message], most: int | None = None) -> None:
        self._requests = requests
        self._free = None if most is None else asyncio.Semaphore(most)
        self.failure: Exception | None = None

    async def run(self, call: "grpc.aio.StreamStreamCall[Any, Any]") -> None:
        try:
            await self._write_all(call)
        except Exception as error:
            self.failure = error
        await call.done_writing()

    async def _write_all(self, call: "grpc.aio.StreamStreamCall[Any, Any]") -> None:
        await self._turn()
        async for request in self._requests:
            try:
                await _write(call, request)
            except (grpc.RpcError, grpc.aio.InternalError):  # It is over; whoever reads the answers is told why.
                return
            await self._turn()

    async def _turn(self) -> None:
        if self._free:
            await self._free.acquire()

    def answered(self) -> None:
        if self._free:
            self._free.release()


async def _write(call: Any, request: Message) -> None:  # noqa: ANN401 (gRPC's types leave its private part out)
    await call.wait_for_connection()
    # What `call.write` does too; but where the server has ended the call meanwhile, that puts INTERNAL in place of the
    # status that the server gave.
    await call._cython_call.send_serialized_message(request.SerializeToString())
