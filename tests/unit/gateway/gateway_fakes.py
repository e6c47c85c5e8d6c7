"""What stands at the gateway's two seams in these tests, and a real Milvus Lite in a process of its own."""

import asyncio
import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.index import Collection, Hit, Row, Vector, next_of, previous_of
from framelens_gateway.product_collection import fields_of, hit_fields_of
from framelens_gateway.recognizer import WHOLE_PICTURE, Box, FoundObject, Recognition, RecognizerCall
from framelens_gateway.routing import UNNAMED_LABEL

SIZE = 8
SPACE = "embedder_test"
UNNAMED_BOXES = 3


def unit(*values: float) -> Vector:
    vector = np.zeros(SIZE, np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def embedding(picture: bytes) -> Vector:
    """Of its own for every picture."""
    seed = int.from_bytes(hashlib.sha256(picture).digest()[:4], "big")
    return unit(*np.random.default_rng(seed).normal(size=SIZE))


def embedding_in(space: str, picture: bytes) -> Vector:
    """Of its own for every space, too."""
    return embedding(picture if space == SPACE else space.encode() + b" " + picture)


def found(label: str, picture: bytes = b"cup", score: float = 0.9) -> FoundObject:
    return FoundObject(label, score, Box(0.1, 0.2, 0.6, 0.8), embedding(picture))


def product_row(product_id: str, ordinal: int = 0, vector: Vector | None = None, **fields: Any) -> Row:
    return {
        "row_id": f"{product_id}\x1f{ordinal:02d}",
        "product_id": product_id,
        "ordinal": ordinal,
        "title": f"Title of {product_id}",
        "url": "",
        "merchant": "shop",
        "category": "cups",
        "price": 9.5,
        "currency": "EUR",
        "availability": "",
        "boost": 0.0,
        "picture_id": f"picture-{ordinal}",
        **WHOLE_PICTURE._asdict(),
        "updated_at": 1.0,
        "embedding": embedding(product_id.encode()) if vector is None else vector,
        **fields,
    }


WHOLE = pb.Box(x_max=1, y_max=1)


def upsert(product_id: str, *pictures: bytes, **fields: Any) -> pb.ProductUpsert:
    """A product that fills its pictures."""
    return pb.ProductUpsert(
        product=pb.Product(id=product_id, **fields),
        pictures=[pb.ReferencePicture(picture=picture, region=WHOLE) for picture in pictures or (b"cup",)],
    )


@dataclass
class Fault:
    """What a method of a fake meets: an exception, a gate that keeps it waiting, or nothing."""

    error: Exception | None = None
    gate: asyncio.Event | None = None

    async def meet(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error


class FakeIndex:
    """Exact search in memory; the gateway's expressions happen to be Python's too."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Row]] = {}
        self.aliases: dict[str, Collection] = {}
        self.faults: dict[str, Fault] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.is_ready = True

    def fail(self, method: str, error: Exception | None = None, gate: asyncio.Event | None = None) -> None:
        self.faults[method] = Fault(error, gate)

    def of(self, method: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == method]

    async def _called(self, method: str, *arguments: Any) -> None:
        self.calls.append((method, *arguments))
        await asyncio.sleep(0)
        if method in self.faults:
            await self.faults[method].meet()

    async def resolve(self, alias: str) -> Collection | None:
        await self._called("resolve", alias)
        return self.aliases.get(alias)

    async def written(self, alias: str) -> list[Collection]:
        await self._called("written", alias)
        names = [alias, next_of(alias), previous_of(alias)] if alias in self.aliases else []
        return list(dict.fromkeys(self.aliases[name] for name in names if name in self.aliases))

    async def create(self, alias: str, space: str, size: int) -> Collection:
        await self._called("create", alias, space, size)
        self.add_collection(alias, space, size)
        return self.aliases[alias]

    def add_collection(self, alias: str = "products", space: str = SPACE, size: int = SIZE) -> None:
        self.aliases[alias] = Collection(f"{alias}__{space}", space, size)
        self.rows.setdefault(self.aliases[alias].name, {})

    def add(self, *rows: Row) -> None:
        """Straight into products."""
        self.add_collection()
        self.rows[self.aliases["products"].name].update({row["row_id"]: row for row in rows})

    def matching(self, collection: str, expression: str) -> list[Row]:
        rows = [self.rows[collection][key] for key in sorted(self.rows[collection])]
        return [row for row in rows if not expression or eval(expression, {"__builtins__": {}}, row)]  # noqa: S307

    async def search(
        self, collection: str, vectors: Sequence[Vector], limit: int, expression: str, timeout_s: float | None = None
    ) -> list[list[Hit]]:
        await self._called("search", collection, len(vectors), limit, expression)
        rows = self.matching(collection, expression)
        answers = []
        for vector in vectors:
            hits = [
                Hit(float(vector @ row["embedding"]), _stored(row, hit_fields_of(_alias(collection)))) for row in rows
            ]
            answers.append(sorted(hits, key=lambda hit: -hit.score)[:limit])
        return answers

    async def query(self, collection: str, expression: str, limit: int, *, vectors: bool = False) -> list[Row]:
        await self._called("query", collection, expression, limit)
        fields = fields_of(_alias(collection))
        fields = (*fields, "embedding") if vectors else fields
        return [_stored(row, fields) for row in self.matching(collection, expression)[:limit]]

    async def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        await self._called("upsert", collection, [row["row_id"] for row in rows])
        self.rows[collection].update({row["row_id"]: row for row in rows})

    async def delete(self, collection: str, expression: str) -> None:
        await self._called("delete", collection, expression)
        for row in self.matching(collection, expression):
            del self.rows[collection][row["row_id"]]

    async def flush(self, collection: str) -> None:
        await self._called("flush", collection)

    async def products(self, collection: str) -> int:
        await self._called("products", collection)
        return len(self.matching(collection, "ordinal == 0"))

    async def sample(self, collection: str, most: int) -> list[Vector]:
        await self._called("sample", collection, most)
        return [row["embedding"] for row in self.matching(collection, "ordinal == 0")[:most]]

    async def ready(self) -> bool:
        await self._called("ready")
        return self.is_ready


def _alias(collection: str) -> str:
    return collection.partition("__")[0]


def _stored(row: Row, fields: Sequence[str]) -> Row:
    return {name: row[name] for name in fields}


@dataclass
class FakeRecognizer:
    """A picture's bytes are its name; `bad` cannot be decoded."""

    objects: dict[bytes, list[FoundObject]] = field(default_factory=dict)
    calls: list[RecognizerCall] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    fault: Fault = field(default_factory=Fault)
    is_ready: bool = True
    size: int = SIZE
    size_error: Exception | None = None
    # By embedder.
    failures: dict[str, Exception] = field(default_factory=dict)
    models: set[str] = field(default_factory=lambda: {"recognizer", "detector", SPACE})
    operations: str = "image operations: CPU, because this is a test"
    operations_error: Exception | None = None
    running: int = 0
    most_running: int = 0

    async def recognize(self, call: RecognizerCall, deadline: Deadline) -> Recognition:
        self.calls.append(call)
        self.deadlines.append(deadline.remaining("recognizer"))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            await self.fault.meet()
        finally:
            self.running -= 1
        if call.embedder in self.failures:
            raise self.failures[call.embedder]
        if call.picture.startswith(b"bad"):
            raise InvalidRequest("not a picture", Reason.INVALID_PICTURE)
        return Recognition(self._objects(call), {"detector": "1", call.embedder: "2"}, {"decode": 1.0}, 640, 480)

    def _objects(self, call: RecognizerCall) -> list[FoundObject]:
        if call.regions is None:
            found = self.objects.get(call.picture, [])
            named = [each for each in found if each.label != UNNAMED_LABEL]
            unnamed = [each for each in found if each.label == UNNAMED_LABEL]
            return named[: call.max_objects] + unnamed[: call.unnamed]
        # A crop looks like what it was cut from.
        vector = embedding_in(call.embedder, call.picture.removeprefix(b"crop of "))
        return [FoundObject("", 1.0, box, vector[: self.size], b"crop of " + call.picture) for box in call.regions]

    async def embedding_size(self, embedder: str) -> int:
        await asyncio.sleep(0)
        if self.size_error is not None:
            raise self.size_error
        return self.size

    async def model_ready(self, model: str) -> bool:
        await asyncio.sleep(0)
        return model in self.models

    async def ready(self) -> bool:
        return self.is_ready

    async def image_operations(self) -> str:
        await asyncio.sleep(0)
        if self.operations_error is not None:
            raise self.operations_error
        return self.operations


def make_earlier_collection(client: MilvusClient, name: str, alias: str) -> None:
    """As the version before availability and boost made it, with its alias on it."""
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row_id", DataType.VARCHAR, is_primary=True, max_length=264)
    for field_name in ("product_id", "title", "url", "merchant", "category", "currency", "picture_id"):
        schema.add_field(field_name, DataType.VARCHAR, max_length=256)
    schema.add_field("ordinal", DataType.INT32)
    schema.add_field("price", DataType.DOUBLE, nullable=True)
    for field_name in ("x_min", "y_min", "x_max", "y_max"):
        schema.add_field(field_name, DataType.FLOAT)
    schema.add_field("updated_at", DataType.DOUBLE)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=SIZE)
    properties = {"framelens.space": SPACE, "framelens.alias": alias, "framelens.index_type": "HNSW"}
    client.create_collection(name, schema=schema, properties=properties)
    indexes = client.prepare_index_params()
    indexes.add_index("embedding", index_type="HNSW", metric_type="IP", params={"M": 16, "efConstruction": 64})
    client.create_index(name, indexes)
    client.load_collection(name)
    client.create_alias(name, alias)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class MilvusLite:
    """A server that can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "framelens_gateway.stack.milvus_lite",
                    f"--data-dir={self.folder / 'data'}",
                    f"--port={self.port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError((self.folder / "log").read_text())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
