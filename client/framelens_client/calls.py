"""Each call of the contract as a value, so that the sync and the async client send the very same thing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from framelens_client import (
    frame_messages,
    health,
    messages,
    results,
    trial_messages,
    trials,
    video_messages,
    videos,
)
from framelens_client.errors import InvalidRequest
from framelens_client.frames import RecognizeOptions, StreamAnswer, StreamFrame
from framelens_client.reasons import Reason
from framelens_client.settings import NO_RETRIES, Retries, Timeouts
from framelens_client.v1 import framelens_pb2 as pb

Result = TypeVar("Result")

_SEARCH, _CATALOG, _TRIALS = (
    f"/{pb.DESCRIPTOR.services_by_name[name].full_name}/" for name in ("VisualSearch", "Catalog", "Trials")
)
_HEALTH_CHECK = "/grpc.health.v1.Health/Check"


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """A request, the message that answers it, and what the caller gets to see."""

    method: str
    request: Message
    answer: type[Message]
    result: Callable[..., Result]
    timeout_s: float
    retries: Retries
    # Whether `result` takes the trailing metadata too.
    reads_trailers: bool = False


@dataclass(frozen=True, slots=True)
class StreamCall(Generic[Result]):
    """A streaming method: the messages that go both ways, and what the caller gets to see of each answer."""

    method: str
    request: type[Message]
    answer: type[Message]
    result: Callable[[Any], Result]


RECOGNIZE_STREAM: StreamCall[StreamAnswer] = StreamCall(
    _SEARCH + "RecognizeStream", pb.RecognizeStreamRequest, pb.RecognizeStreamResponse, frame_messages.stream_answer
)
INDEX_VIDEO: StreamCall[videos.IndexProgress] = StreamCall(
    _CATALOG + "IndexVideo", pb.IndexVideoRequest, pb.IndexVideoProgress, video_messages.progress
)


@contextmanager
def _sendable() -> Iterator[None]:
    """What no message can carry, such as a number too large for its field, is wrong in the request."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise InvalidRequest(
            f"the request cannot be sent: {error}",
            reason=Reason.INVALID_ARGUMENT,
            code=grpc.StatusCode.INVALID_ARGUMENT,
        ) from error


@dataclass(frozen=True, slots=True)
class Calls:
    """Builds calls with the defaults of one client. Every method raises InvalidRequest."""

    timeouts: Timeouts
    retries: Retries

    @_sendable()
    def recognize(self, picture: bytes | None, options: RecognizeOptions) -> Call[results.Recognition]:
        request = frame_messages.recognize_request(picture, options)
        timeout_s = self.timeouts.search_s
        return Call(_SEARCH + "Recognize", request, pb.RecognizeResponse, messages.recognition, timeout_s, self.retries)

    @_sendable()
    def stream_request(self, frame: StreamFrame, picture: bytes | None) -> pb.RecognizeStreamRequest:
        return frame_messages.stream_request(frame, picture)

    @_sendable()
    def search_region(
        self,
        picture: bytes,
        region: results.Box,
        top_k: int | None,
        min_score: float | None,
        wanted: results.Filter | None,
        use_boost: bool,
        page_token: str,
        key: str,
    ) -> Call[results.RegionSearch]:
        request = pb.SearchRegionRequest(
            picture=picture,
            region=messages.box_message(region),
            search=messages.search_options(top_k, min_score, wanted, use_boost),
            page_token=page_token,
            key=key,
        )
        answer, timeout_s = pb.SearchRegionResponse, self.timeouts.search_s
        return Call(_SEARCH + "SearchRegion", request, answer, messages.region_search, timeout_s, self.retries)

    @_sendable()
    def moments(self, video_id: str) -> Call[videos.VideoMoments]:
        request, timeout_s = pb.GetMomentsRequest(video_id=video_id), self.timeouts.search_s
        return Call(_SEARCH + "GetMoments", request, pb.VideoMoments, video_messages.moments, timeout_s, self.retries)

    @_sendable()
    def batch_moments(self, ids: Sequence[str]) -> Call[videos.BatchMoments]:
        request = pb.BatchGetMomentsRequest(video_ids=ids)
        answer, result, timeout_s = pb.BatchGetMomentsResponse, video_messages.batch_moments, self.timeouts.search_s
        return Call(_SEARCH + "BatchGetMoments", request, answer, result, timeout_s, self.retries)

    @_sendable()
    def picture(self, picture_id: str) -> Call[bytes]:
        request, timeout_s = pb.GetPictureRequest(picture_id=picture_id), self.timeouts.read_s
        return Call(_SEARCH + "GetPicture", request, pb.Picture, _picture, timeout_s, self.retries)

    @_sendable()
    def upsert_products(self, products: Sequence[results.ProductUpsert]) -> Call[results.Upsert]:
        request = pb.UpsertProductsRequest(products=map(messages.upsert_message, products))
        answer, timeout_s = pb.UpsertProductsResponse, self.timeouts.write_s
        return Call(_CATALOG + "UpsertProducts", request, answer, messages.upsert, timeout_s, self.retries)

    @_sendable()
    def update_products(self, updates: Sequence[results.ProductUpdate]) -> Call[tuple[results.UpsertResult, ...]]:
        request = pb.UpdateProductsRequest(updates=map(messages.update_message, updates))
        answer, timeout_s = pb.UpdateProductsResponse, self.timeouts.write_s
        return Call(_CATALOG + "UpdateProducts", request, answer, messages.update_results, timeout_s, self.retries)

    @_sendable()
    def delete_products(self, ids: Sequence[str]) -> Call[results.Deletion]:
        request = pb.DeleteProductsRequest(ids=ids)
        answer, timeout_s = pb.DeleteProductsResponse, self.timeouts.write_s
        return Call(_CATALOG + "DeleteProducts", request, answer, messages.deletion, timeout_s, self.retries)

    @_sendable()
    def get_product(self, product_id: str) -> Call[results.StoredProduct]:
        request = pb.GetProductRequest(id=product_id)
        timeout_s = self.timeouts.read_s
        return Call(
            _CATALOG + "GetProduct", request, pb.StoredProduct, messages.stored_product, timeout_s, self.retries
        )

    @_sendable()
    def list_products(
        self, wanted: results.Filter | None, page_size: int | None, page_token: str
    ) -> Call[results.ProductPage]:
        request = pb.ListProductsRequest(
            page_size=page_size, page_token=page_token, filter=messages.filter_message(wanted)
        )
        answer, timeout_s = pb.ListProductsResponse, self.timeouts.read_s
        return Call(_CATALOG + "ListProducts", request, answer, messages.product_page, timeout_s, self.retries)

    @_sendable()
    def index_header(
        self, video: videos.Video, sha256: str, server_path: str | None, again: bool
    ) -> pb.IndexVideoRequest:
        return video_messages.header(video, sha256, server_path, again)

    @_sendable()
    def video(self, video_id: str) -> Call[videos.StoredVideo]:
        request, timeout_s = pb.GetVideoRequest(id=video_id), self.timeouts.read_s
        result = video_messages.stored_video
        return Call(_CATALOG + "GetVideo", request, pb.StoredVideo, result, timeout_s, self.retries)

    @_sendable()
    def delete_video(self, video_id: str) -> Call[bool]:
        request, timeout_s = pb.DeleteVideoRequest(id=video_id), self.timeouts.write_s
        return Call(_CATALOG + "DeleteVideo", request, pb.DeleteVideoResponse, _deleted, timeout_s, self.retries)

    @_sendable()
    def list_videos(self, account: str, page_size: int | None, page_token: str) -> Call[videos.VideoPage]:
        request = pb.ListVideosRequest(page_size=page_size, page_token=page_token, account=account)
        answer, timeout_s = pb.ListVideosResponse, self.timeouts.read_s
        return Call(_CATALOG + "ListVideos", request, answer, video_messages.video_page, timeout_s, self.retries)

    def start_trial(
        self, kind: str, share: float, engine: str | None, space: str | None, bounds: trials.Bounds | None
    ) -> Call[trials.Trial]:
        """Raises ValueError unless there is one candidate: in the message the last of two would win."""
        if (engine is None) == (space is None):
            raise ValueError("a trial has one candidate: give either engine or space")
        with _sendable():
            request = pb.StartTrialRequest(kind=kind, share=share, bounds=trial_messages.bounds_message(bounds))
            if engine is not None:
                request.engine = engine
            if space is not None:
                request.space = space
        return self._trial("StartTrial", request)

    def stop_trial(self) -> Call[trials.Trial]:
        return self._trial("StopTrial", pb.StopTrialRequest())

    def trial(self) -> Call[trials.Trial]:
        return self._trial("GetTrial", pb.GetTrialRequest())

    def _trial(self, method: str, request: Message) -> Call[trials.Trial]:
        timeout_s = self.timeouts.read_s
        return Call(_TRIALS + method, request, pb.Trial, trial_messages.trial, timeout_s, self.retries)

    def health(self, service: str) -> Call[health.Check]:
        request = health_pb2.HealthCheckRequest(service=service)
        answer, timeout_s = health_pb2.HealthCheckResponse, self.timeouts.health_s
        return Call(_HEALTH_CHECK, request, answer, health.check, timeout_s, NO_RETRIES, reads_trailers=True)


def _picture(answer: pb.Picture) -> bytes:
    return answer.picture


def _deleted(answer: pb.DeleteVideoResponse) -> bool:
    return answer.deleted
