"""Requests to our own endpoint, encoded before a run begins: recognise, region search, repeats of hot frames."""

import bisect
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from framelens_client.v1 import framelens_pb2 as pb
from framelens_perf.open_loop.sender import Answer

RECOGNIZE, SEARCH_REGION = "Recognize", "SearchRegion"
_SERVICE = pb.DESCRIPTOR.services_by_name["VisualSearch"].full_name
_ANSWERS: dict[str, type[pb.RecognizeResponse] | type[pb.SearchRegionResponse]] = {
    RECOGNIZE: pb.RecognizeResponse,
    SEARCH_REGION: pb.SearchRegionResponse,
}
_REGION = pb.Box(x_min=0.2, y_min=0.1, x_max=0.8, y_max=0.45)
_TOP_K = 10


@dataclass(frozen=True, slots=True)
class Request:
    """One call: its method, and its message in bytes."""

    method: str
    content: bytes


@dataclass(frozen=True)
class Mix:
    """What callers ask: the share that draws a region, and by which Zipf exponent frames repeat (0: each in turn)."""

    regions: float = 0.0
    zipf: float = 0.0


def requests(frames: Sequence[bytes], mix: Mix, count: int, seed: int = 0) -> list[Request]:
    """`count` requests over the frames."""
    draw = random.Random(seed)  # noqa: S311 - the same in every run
    chosen = _by_zipf(draw, len(frames), mix.zipf, count) if mix.zipf else [at % len(frames) for at in range(count)]
    kinds = [draw.random() < mix.regions for _ in range(count)]
    # One message for all repeats of a frame.
    made: dict[tuple[int, bool], Request] = {}
    for key in zip(chosen, kinds, strict=True):
        if key not in made:
            made[key] = _request(frames[key[0]], key[1])
    return [made[key] for key in zip(chosen, kinds, strict=True)]


def _by_zipf(draw: random.Random, frames: int, exponent: float, count: int) -> list[int]:
    """Frame numbers of which the n-th is asked for in proportion to n to the power of minus `exponent`."""
    reached = list(itertools.accumulate((n + 1) ** -exponent for n in range(frames)))
    return [bisect.bisect(reached, draw.random() * reached[-1], hi=frames - 1) for _ in range(count)]


def _request(frame: bytes, by_region: bool) -> Request:
    options = pb.SearchOptions(top_k=_TOP_K)
    if by_region:
        message = pb.SearchRegionRequest(picture=frame, region=_REGION, search=options)
        return Request(SEARCH_REGION, message.SerializeToString())
    return Request(RECOGNIZE, pb.RecognizeRequest(picture=frame, search=options).SerializeToString())


class GatewayCaller:
    """Asks a gateway over gRPC with a deadline; for use in one event loop."""

    def __init__(self, address: str, deadline_s: float) -> None:
        self._channel = grpc.aio.insecure_channel(address, [("grpc.max_receive_message_length", -1)])
        self._deadline_s = deadline_s
        self._calls = {
            method: self._channel.unary_unary(f"/{_SERVICE}/{method}", _unchanged, _ANSWERS[method].FromString)
            for method in (RECOGNIZE, SEARCH_REGION)
        }

    async def ask(self, request: Request) -> Answer:
        try:
            answer = await self._calls[request.method](request.content, timeout=self._deadline_s)
        except grpc.aio.AioRpcError as error:
            return Answer(error.code().name)
        return Answer(stages_ms=dict(answer.served.stages_ms))

    async def close(self) -> None:
        await self._channel.close(None)


def _unchanged(message: bytes) -> bytes:
    return message
