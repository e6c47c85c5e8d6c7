"""Fakes at the two seams: a recognizer that reads its answer from the picture's bytes, and an index in memory."""

from collections.abc import Sequence

import numpy as np
import pytest

from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest, Unavailable
from framelens_gateway.index import Collection, Hit, Row, Vector
from framelens_gateway.recognizer import WHOLE_PICTURE, Box, FoundObject, Recognition, RecognizerCall

SPACE = "embedder_x"


def direction(degrees: float) -> Vector:
    """A vector of length one: the cosine of two is that of the angle between them."""
    angle = np.deg2rad(degrees)
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


class FakeRecognizer:
    """A picture `cup:0,person:90` holds a cup in direction 0 and a person in direction 90."""

    def __init__(self) -> None:
        self.calls: list[RecognizerCall] = []
        self.failure: Exception | None = None
        self.size = 2

    async def recognize(self, call: RecognizerCall, deadline: Deadline) -> Recognition:
        deadline.remaining("recognition")
        self.calls.append(call)
        if self.failure:
            raise self.failure
        if call.picture == b"broken":
            raise InvalidRequest("broken")
        things = [thing.split(":") for thing in call.picture.decode().split(",")]
        boxes: Sequence[Box] = call.regions or [WHOLE_PICTURE] * len(things)
        objects = [
            FoundObject(label, 0.9, box, direction(float(degrees)), b"crop" + call.picture if call.crops else b"")
            for (label, degrees), box in zip(things, boxes, strict=False)
        ]
        return Recognition(objects, {"detector": "1", call.embedder: "2"}, {"decode": 1.0}, 64, 48)

    async def embedding_size(self, embedder: str) -> int:
        return self.size

    async def ready(self) -> bool:
        return self.failure is None


class FakeIndex:
    """Exact search in memory; of expressions it knows only ids."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.collection: Collection | None = None
        self.searches: list[tuple[int, int, str]] = []
        self.flushed = 0
        self.failure: Exception | None = None

    async def resolve(self, alias: str) -> Collection | None:
        self._fail()
        return self.collection

    async def create(self, alias: str, space: str, size: int) -> Collection:
        self.collection = Collection(f"{alias}__{space}", space, size)
        return self.collection

    async def search(self, collection: str, vectors: Sequence[Vector], limit: int, expression: str) -> list[list[Hit]]:
        self._fail()
        self.searches.append((len(vectors), limit, expression))
        return [
            sorted((Hit(float(v @ row["embedding"]), row) for row in self.rows.values()), key=lambda h: -h.score)[
                :limit
            ]
            for v in vectors
        ]

    async def query(self, collection: str, expression: str, limit: int) -> list[Row]:
        self._fail()
        rows = [row for _, row in sorted(self.rows.items()) if self._named(row, expression)]
        return rows[:limit]

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        self._fail()
        self.rows |= {row["row_id"]: row for row in rows}

    async def delete(self, collection: str, expression: str) -> None:
        self._fail()
        self.rows = {key: row for key, row in self.rows.items() if not self._named(row, expression)}

    async def flush(self, collection: str) -> None:
        self._fail()
        self.flushed += 1

    async def ready(self) -> bool:
        return self.failure is None

    def _fail(self) -> None:
        if self.failure:
            raise self.failure

    @staticmethod
    def _named(row: Row, expression: str) -> bool:
        if expression.startswith("row_id in"):
            return f'"{row["row_id"]}"' in expression
        if expression.startswith("product_id in"):
            return f'"{row["product_id"]}"' in expression
        return row["ordinal"] == 0


@pytest.fixture
def recognizer() -> FakeRecognizer:
    return FakeRecognizer()


@pytest.fixture
def index() -> FakeIndex:
    return FakeIndex()


@pytest.fixture
def milvus_away() -> Unavailable:
    from framelens_client.reasons import Reason

    return Unavailable(Reason.MILVUS_UNAVAILABLE, "Milvus is away")
