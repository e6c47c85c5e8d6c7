# ruff: noqa: S106 (fakes come as fixtures, which have no importable type; tokens are no secrets)
"""A gateway in this process: a real gRPC server whose answers and failures a test decides."""

import asyncio
import inspect
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from framelens_client import AsyncClient, Client
from framelens_client.cli.command import framelens
from framelens_client.reasons import ERROR_DOMAIN
from framelens_client.v1 import framelens_pb2 as pb
from framelens_client.v1 import framelens_pb2_grpc as pb_grpc

RECOGNITION = pb.RecognizeResponse(
    objects=[
        pb.RecognizedObject(
            label="cup",
            score=0.95,
            box=pb.Box(x_min=0.1, y_min=0.2, x_max=0.6, y_max=0.8),
            route="products",
            matches=[
                pb.Match(kind="product", id="p1", title="Red cup [bold]", score=0.9, price=19.9, currency="EUR"),
                pb.Match(kind="product", id="p2", title="Blue cup", score=0.7),
            ],
            next_page_token="more",
        ),
        pb.RecognizedObject(label="person", score=0.8, box=pb.Box(x_max=1, y_max=1), route="videos", note="no videos"),
    ],
    served=pb.Served(
        engines=[pb.Engine(model="detector", version="1")],
        collections=["products_1"],
        stages_ms={"decode": 5.8, "total": 34.25},
        picture=pb.PictureSize(width=640, height=480),
    ),
)

STORED_VIDEO = pb.StoredVideo(
    video=pb.Video(id="v1", account="ann", title="Ann's kitchen", url="http://v/1", published_at=1000.5),
    duration_s=75.5,
    size=pb.PictureSize(width=1280, height=720),
    frames=151,
    note="ended early",
    tracks=[
        pb.Track(
            number=1,
            label="cup",
            score=0.75,
            at_s=63.5,
            box=pb.Box(x_max=0.5, y_max=0.5),
            picture_id="v1/1",
            sightings=[pb.Sighting(at_s=63.5, box=pb.Box(x_max=0.5, y_max=0.5), score=0.75)],
        )
    ],
    indexed_at=2000.5,
    sha256="ab" * 32,
)
MOMENTS = pb.VideoMoments(
    video_id="v1",
    button=[pb.Span(start_s=60.5, end_s=70.25)],
    moments=[
        pb.Moment(
            start_s=60.5,
            end_s=70.25,
            at_s=63.5,
            box=pb.Box(x_max=0.5, y_max=0.5),
            label="cup",
            score=0.75,
            salience=0.625,
            route="products",
            picture_id="v1/1",
        )
    ],
)

TRIAL = pb.Trial(
    state="running",
    kind="canary",
    share=0.1,
    candidate="detector__candidate",
    started_at=1000.5,
    notes=["a note"],
    canary=pb.CanaryReport(
        served=120,
        failed=2,
        no_time=3,
        bounds=pb.Bounds(max_error_rate=0.02, max_p99_ratio=2, min_requests=100, window=500),
        candidate=pb.CanaryGroup(requests=122, errors=2, error_rate=0.0164, p50_ms=41.25, p99_ms=80.5),
        control=pb.CanaryGroup(requests=119, p50_ms=40.25, p99_ms=60.5),
        errors=["it broke"],
    ),
)
SHADOW_TRIAL = pb.Trial(
    state="stopped",
    kind="shadow",
    share=0.5,
    candidate="products__next",
    started_at=1000.5,
    ended_at=1020.5,
    reason="by command",
    shadow=pb.ShadowReport(
        compared=40,
        live_objects=50,
        candidate_objects=48,
        agreed_objects=47,
        objects_f1=0.959,
        searches=47,
        agreed_top1=45,
        overlap_at_k=pb.Distribution(count=47, mean=0.9, p50=1, p95=1, p99=1, max=1),
        disagreements=[pb.Disagreement(at=1010.5, method="Recognize", picture="abcd", what="only live: cup 0.52")],
    ),
)


@dataclass
class Call:
    method: str
    request: Any
    metadata: dict[str, str | bytes]
    remaining_s: float


@dataclass
class Failure:
    """What the next call meets; without a reason it looks as if it came from a proxy."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = "as the test wished"
    retry_after_s: float | None = None

    def abort(self, context: grpc.ServicerContext) -> None:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        if self.reason:
            status.details.add().Pack(error_details_pb2.ErrorInfo(reason=self.reason, domain=ERROR_DOMAIN))
        if self.retry_after_s is not None:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(int(self.retry_after_s * 1000))
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(self.code, self.message)


@dataclass
class FakeGateway(
    pb_grpc.VisualSearchServicer, pb_grpc.CatalogServicer, pb_grpc.TrialsServicer, health_pb2_grpc.HealthServicer
):
    calls: list[Call] = field(default_factory=list)
    failures: deque[Failure] = field(default_factory=deque)
    products: dict[str, pb.ProductUpsert] = field(default_factory=dict)
    health: dict[str, int] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    # Errors of single products, and a hook that runs before an upsert is stored.
    row_errors: dict[str, list[pb.RowError]] = field(default_factory=dict)
    before_upsert: Callable[[pb.UpsertProductsRequest, grpc.ServicerContext], None] = lambda *_: None
    recognition: pb.RecognizeResponse = field(default_factory=lambda: RECOGNITION)
    trial: pb.Trial = field(default_factory=pb.Trial)
    videos: dict[str, pb.StoredVideo] = field(default_factory=dict)
    # Bytes of chunks that were taken, and a hook that runs between two of them.
    received: bytearray = field(default_factory=bytearray)
    on_chunk: Callable[[int], None] = lambda _: None
    # Frames of a stream that were taken; their answers come in reverse, so many at a time, and errors by id.
    taken: list[str] = field(default_factory=list)
    answered_together: int = 1
    frame_errors: dict[str, pb.StreamError] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    address: str = ""

    def upserted(self) -> list[str]:
        """Ids in the order in which they were sent, over all calls."""
        requests = [call.request for call in self.calls if call.method == "UpsertProducts"]
        return [upsert.product.id for request in requests for upsert in request.products]

    def Recognize(self, request: pb.RecognizeRequest, context: grpc.ServicerContext) -> pb.RecognizeResponse:
        self._meet("Recognize", request, context)
        return self.recognition

    def RecognizeStream(
        self, requests: Iterator[pb.RecognizeStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.RecognizeStreamResponse]:
        self._meet("RecognizeStream", None, context)
        waiting: list[pb.RecognizeStreamResponse] = []
        for request in requests:
            self.taken.append(request.id)
            self.calls.append(Call("frame", request, {}, 0.0))
            waiting.append(self._frame_answer(request))
            if len(waiting) == self.answered_together:
                yield from reversed(waiting)
                waiting.clear()
        yield from reversed(waiting)

    def _frame_answer(self, request: pb.RecognizeStreamRequest) -> pb.RecognizeStreamResponse:
        if request.id in self.frame_errors:
            return pb.RecognizeStreamResponse(id=request.id, error=self.frame_errors[request.id])
        return pb.RecognizeStreamResponse(id=request.id, response=RECOGNITION)

    def GetMoments(self, request: pb.GetMomentsRequest, context: grpc.ServicerContext) -> pb.VideoMoments:
        self._meet("GetMoments", request, context)
        self._stored_video(request.video_id, context)
        return MOMENTS

    def BatchGetMoments(
        self, request: pb.BatchGetMomentsRequest, context: grpc.ServicerContext
    ) -> pb.BatchGetMomentsResponse:
        self._meet("BatchGetMoments", request, context)
        found = [MOMENTS for each in request.video_ids if each in self.videos]
        return pb.BatchGetMomentsResponse(
            videos=found, missing=[each for each in request.video_ids if each not in self.videos]
        )

    def GetPicture(self, request: pb.GetPictureRequest, context: grpc.ServicerContext) -> pb.Picture:
        self._meet("GetPicture", request, context)
        return pb.Picture(picture=b"picture of " + request.picture_id.encode())

    def IndexVideo(
        self, requests: Iterator[pb.IndexVideoRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.IndexVideoProgress]:
        header = next(requests).header
        self._meet("IndexVideo", header, context)
        known = self.videos.get(header.video.id)
        if known and known.sha256 == header.sha256 and not header.again:
            yield pb.IndexVideoProgress(state="unchanged", stored=known)
            return
        yield pb.IndexVideoProgress(state="receiving")
        for request in requests:
            self.received += request.chunk
            self.on_chunk(len(self.received))
        yield pb.IndexVideoProgress(state="indexing", position_s=30.25, duration_s=75.5, frames=60, tracks=1)
        stored = pb.StoredVideo()
        stored.CopyFrom(STORED_VIDEO)
        stored.video.CopyFrom(header.video)
        stored.sha256 = header.sha256
        self.videos[header.video.id] = stored
        yield pb.IndexVideoProgress(
            state="stored", position_s=75.5, duration_s=75.5, frames=151, tracks=1, stored=stored
        )

    def GetVideo(self, request: pb.GetVideoRequest, context: grpc.ServicerContext) -> pb.StoredVideo:
        self._meet("GetVideo", request, context)
        return self._stored_video(request.id, context)

    def DeleteVideo(self, request: pb.DeleteVideoRequest, context: grpc.ServicerContext) -> pb.DeleteVideoResponse:
        self._meet("DeleteVideo", request, context)
        return pb.DeleteVideoResponse(deleted=self.videos.pop(request.id, None) is not None)

    def ListVideos(self, request: pb.ListVideosRequest, context: grpc.ServicerContext) -> pb.ListVideosResponse:
        self._meet("ListVideos", request, context)
        size = request.page_size if request.HasField("page_size") else 100
        ids = [
            video_id
            for video_id, stored in sorted(self.videos.items())
            if video_id > request.page_token and request.account in ("", stored.video.account)
        ]
        token = ids[size - 1] if len(ids) > size else ""
        return pb.ListVideosResponse(videos=[self.videos[each] for each in ids[:size]], next_page_token=token)

    def _stored_video(self, video_id: str, context: grpc.ServicerContext) -> pb.StoredVideo:
        if video_id not in self.videos:
            Failure(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", f'no video "{video_id}"').abort(context)
        return self.videos[video_id]

    def SearchRegion(self, request: pb.SearchRegionRequest, context: grpc.ServicerContext) -> pb.SearchRegionResponse:
        self._meet("SearchRegion", request, context)
        found = RECOGNITION.objects[0]
        return pb.SearchRegionResponse(
            region=request.region, matches=found.matches, next_page_token="more", served=RECOGNITION.served
        )

    def UpsertProducts(
        self, request: pb.UpsertProductsRequest, context: grpc.ServicerContext
    ) -> pb.UpsertProductsResponse:
        self._meet("UpsertProducts", request, context)
        self.before_upsert(request, context)
        return pb.UpsertProductsResponse(results=[self._upsert(upsert) for upsert in request.products])

    def UpdateProducts(
        self, request: pb.UpdateProductsRequest, context: grpc.ServicerContext
    ) -> pb.UpdateProductsResponse:
        self._meet("UpdateProducts", request, context)
        return pb.UpdateProductsResponse(results=map(self._update, request.updates))

    def DeleteProducts(
        self, request: pb.DeleteProductsRequest, context: grpc.ServicerContext
    ) -> pb.DeleteProductsResponse:
        self._meet("DeleteProducts", request, context)
        deleted = [product_id for product_id in request.ids if self.products.pop(product_id, None)]
        return pb.DeleteProductsResponse(
            deleted=deleted, missing=[product_id for product_id in request.ids if product_id not in deleted]
        )

    def GetProduct(self, request: pb.GetProductRequest, context: grpc.ServicerContext) -> pb.StoredProduct:
        self._meet("GetProduct", request, context)
        if request.id not in self.products:
            Failure(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", f'no product "{request.id}"').abort(context)
        return self._stored(request.id)

    def ListProducts(self, request: pb.ListProductsRequest, context: grpc.ServicerContext) -> pb.ListProductsResponse:
        self._meet("ListProducts", request, context)
        size = request.page_size if request.HasField("page_size") else 100
        ids = [product_id for product_id in sorted(self.products) if product_id > request.page_token]
        token = ids[size - 1] if len(ids) > size else ""
        return pb.ListProductsResponse(products=map(self._stored, ids[:size]), next_page_token=token)

    def StartTrial(self, request: pb.StartTrialRequest, context: grpc.ServicerContext) -> pb.Trial:
        self._meet("StartTrial", request, context)
        return self.trial

    def StopTrial(self, request: pb.StopTrialRequest, context: grpc.ServicerContext) -> pb.Trial:
        self._meet("StopTrial", request, context)
        return self.trial

    def GetTrial(self, request: pb.GetTrialRequest, context: grpc.ServicerContext) -> pb.Trial:
        self._meet("GetTrial", request, context)
        return self.trial

    def Check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> Any:
        self._meet("Check", request, context)
        if self.details:
            context.set_trailing_metadata((("framelens-details-bin", json.dumps(self.details).encode()),))
        serving = health_pb2.HealthCheckResponse.SERVING
        return health_pb2.HealthCheckResponse(status=self.health.get(request.service, serving))

    def _meet(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata())
        with self.lock:
            self.calls.append(Call(method, request, metadata, context.time_remaining()))
            failure = self.failures.popleft() if self.failures else None
        if failure:
            failure.abort(context)

    def _upsert(self, upsert: pb.ProductUpsert) -> pb.UpsertResult:
        errors = self.row_errors.get(upsert.product.id)
        if errors:
            return pb.UpsertResult(id=upsert.product.id, error=errors.pop(0))
        self.products[upsert.product.id] = upsert
        return pb.UpsertResult(id=upsert.product.id)

    def _update(self, update: pb.ProductUpdate) -> pb.UpsertResult:
        errors = self.row_errors.get(update.id)
        if errors:
            return pb.UpsertResult(id=update.id, error=errors.pop(0))
        if update.id not in self.products:
            return pb.UpsertResult(id=update.id, error=pb.RowError(reason="NOT_FOUND", message="it is not there"))
        product = self.products[update.id].product
        for changed, value in update.ListFields():
            setattr(product, changed.name, value)
        if product.price < 0:
            product.ClearField("price")
        return pb.UpsertResult(id=update.id)

    def _stored(self, product_id: str) -> pb.StoredProduct:
        upsert = self.products[product_id]
        pictures = [
            pb.StoredPicture(picture_id=f"{product_id}/{number}", region=reference.region)
            if reference.HasField("region")
            else pb.StoredPicture(picture_id=f"{product_id}/{number}")
            for number, reference in enumerate(upsert.pictures)
        ]
        return pb.StoredProduct(product=upsert.product, pictures=pictures, updated_at=1.5)


def serve(gateway: FakeGateway, port: int = 0) -> grpc.Server:
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 32 * 2**20)])
    pb_grpc.add_VisualSearchServicer_to_server(gateway, server)
    pb_grpc.add_CatalogServicer_to_server(gateway, server)
    pb_grpc.add_TrialsServicer_to_server(gateway, server)
    health_pb2_grpc.add_HealthServicer_to_server(gateway, server)
    gateway.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    server.start()
    return server


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    fake = FakeGateway()
    server = serve(fake)
    yield fake
    server.stop(None).wait()


class Blocking:
    """AsyncClient with Client's manners."""

    def __init__(self, address: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._make(address, options))

    async def _make(self, address: str, options: dict[str, Any]) -> AsyncClient:
        return AsyncClient(address, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments, **named: self._runner.run(self._call(name, arguments, named))

    async def _call(self, name: str, arguments: Any, named: Any) -> Any:
        answer = getattr(self._client, name)(*arguments, **named)
        return [item async for item in answer] if inspect.isasyncgen(answer) else await answer

    def recognize_stream(self, frames: Iterable[Any], **named: Any) -> list[Any]:
        async def each() -> AsyncIterator[Any]:
            for frame in frames:
                yield frame

        return self.__getattr__("recognize_stream")(each(), **named)

    def stop(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, gateway: Any) -> Iterator[Callable[..., Any]]:
    """Makes a client of either kind."""
    made: list[Any] = []

    def make(**options: Any) -> Any:
        address = options.pop("address", gateway.address)
        made.append((Client if request.param == "sync" else Blocking)(address, **options))
        return made[-1]

    yield make
    for client in made:
        client.close() if isinstance(client, Client) else client.stop()


@pytest.fixture
def start() -> Iterator[Callable[..., grpc.Server]]:
    """Starts a gateway (again), as a test wants it."""
    servers: list[grpc.Server] = []

    def start_one(fake: FakeGateway, port: int = 0) -> grpc.Server:
        servers.append(serve(fake, port))
        return servers[-1]

    yield start_one
    for server in servers:
        server.stop(None).wait()


@pytest.fixture
def fail() -> type[Failure]:
    return Failure


@pytest.fixture
def make_gateway() -> type[FakeGateway]:
    return FakeGateway


@pytest.fixture
def recognition() -> pb.RecognizeResponse:
    return RECOGNITION


@pytest.fixture
def stored_video() -> pb.StoredVideo:
    return STORED_VIDEO


@pytest.fixture
def video_moments() -> pb.VideoMoments:
    return MOMENTS


@pytest.fixture
def canary_trial() -> pb.Trial:
    return TRIAL


@pytest.fixture
def shadow_trial() -> pb.Trial:
    return SHADOW_TRIAL


@pytest.fixture
def command(gateway: FakeGateway) -> Callable[..., Result]:
    """Runs `framelens` against the gateway."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(framelens, ["--address", gateway.address, *map(str, arguments)])

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "frame.jpg"
    Image.new("RGB", (640, 480), "white").save(path)
    return path


@pytest.fixture
def png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, format="PNG")
    return file.getvalue()
