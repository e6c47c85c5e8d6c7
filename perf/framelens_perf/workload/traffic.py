"""Requests to our own endpoint: recognise, region search, repeats of hot frames."""

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
_COMMENT = b"\xff\xfe"


@dataclass(frozen=True, slots=True)
class Request:
    """One call: its method, and the frame it brings, told from others of the same pixels by `mark`."""

    method: str
    frame: bytes
    mark: int

    def content(self) -> bytes:
        picture = marked(self.frame, self.mark)
        options = pb.SearchOptions(top_k=_TOP_K)
        if self.method == SEARCH_REGION:
            return pb.SearchRegionRequest(picture=picture, region=_REGION, search=options).SerializeToString()
        return pb.RecognizeRequest(picture=picture, search=options).SerializeToString()


@dataclass(frozen=True)
class Mix:
    """What callers ask: which share draws a region, and whether frames repeat.

    Without `hot_frames` no frame comes twice; with it, the n-th of so many frames comes in proportion to n to the
    power of minus `zipf`.
    """

    regions: float = 0.0
    hot_frames: int = 0
    zipf: float = 1.1


def requests(frames: Sequence[bytes], mix: Mix, count: int, seed: int = 0) -> list[Request]:
    """`count` requests over the frames' pixels, the same ones for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - the same in every run
    # Frames of two seeds are not the same ones either.
    marks = _by_zipf(draw, mix, count) if mix.hot_frames else [(seed << 32) + number for number in range(count)]
    return [
        Request(SEARCH_REGION if draw.random() < mix.regions else RECOGNIZE, frames[mark % len(frames)], mark)
        for mark in marks
    ]


def marked(jpeg: bytes, mark: int) -> bytes:
    """The same picture in other bytes: a JPEG with a comment."""
    comment = mark.to_bytes(8, "big")
    return jpeg[:2] + _COMMENT + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def _by_zipf(draw: random.Random, mix: Mix, count: int) -> list[int]:
    reached = list(itertools.accumulate((n + 1) ** -mix.zipf for n in range(mix.hot_frames)))
    return [bisect.bisect(reached, draw.random() * reached[-1], hi=mix.hot_frames - 1) for _ in range(count)]


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
            answer = await self._calls[request.method](request.content(), timeout=self._deadline_s)
        except grpc.aio.AioRpcError as error:
            return Answer(error.code().name)
        return Answer(stages_ms=dict(answer.served.stages_ms))

    async def close(self) -> None:
        await self._channel.close(None)


def _unchanged(message: bytes) -> bytes:
    return message
