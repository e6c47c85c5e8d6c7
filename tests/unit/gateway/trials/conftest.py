"""Trials over a live search and a candidate that a test decides."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline


@dataclass
class FakeSearch:
    """Answers after `seconds`, or fails; `best` is the id of its one match."""

    best: str = "live"
    seconds: float = 0.0
    failure: Exception | None = None
    objects: list[pb.RecognizedObject] | None = None
    deadlines: list[float] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    gone: int = 0

    async def recognize(self, request: pb.RecognizeRequest, deadline: Deadline) -> pb.RecognizeResponse:
        await self._meet(request, deadline)
        cup = pb.RecognizedObject(label="cup", score=0.9, box=pb.Box(x_max=1, y_max=1), route="products")
        cup.matches.add(id=self.best, score=0.8)
        return pb.RecognizeResponse(objects=[cup] if self.objects is None else self.objects)

    async def search_region(self, request: pb.SearchRegionRequest, deadline: Deadline) -> pb.SearchRegionResponse:
        await self._meet(request, deadline)
        return pb.SearchRegionResponse(matches=[pb.Match(id=self.best, score=0.8)])

    async def _meet(self, request: Any, deadline: Deadline) -> None:
        self.asked.append(request)
        self.deadlines.append(deadline.remaining("the test"))
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.gone += 1
            raise
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def live() -> FakeSearch:
    return FakeSearch()


@pytest.fixture
def candidate() -> FakeSearch:
    return FakeSearch("other")
