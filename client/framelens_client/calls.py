"""Each call of the contract as a value, so that the sync and the async client send the very same thing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from framelens_client import health, messages, results
from framelens_client.settings import NO_RETRIES, Retries, Timeouts
from framelens_client.v1 import framelens_pb2 as pb

Result = TypeVar("Result")

_SEARCH = "/framelens.v1.VisualSearch/"
_CATALOG = "/framelens.v1.Catalog/"
_HEALTH_CHECK = "/grpc.health.v1.Health/Check"


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """A request, the message that answers it, and what the caller gets to see."""

    method: str
    request: Message
    answer: type[Message]
    result: Callable[[Any], Result]
    timeout_s: float
    retries: Retries


@dataclass(frozen=True, slots=True)
class Calls:
    """Builds calls with the defaults of one client."""

    timeouts: Timeouts
    retries: Retries

    def recognize(
        self,
        picture: bytes,
        top_k: int | None,
        min_score: float | None,
        wanted: results.Filter | None,
        min_object_score: float | None,
        max_objects: int | None,
    ) -> Call[results.Recognition]:
        request = pb.RecognizeRequest(
            picture=picture,
            search=messages.search_options(top_k, min_score, wanted),
            min_object_score=min_object_score,
            max_objects=max_objects,
        )
        timeout_s = self.timeouts.search_s
        return Call(_SEARCH + "Recognize", request, pb.RecognizeResponse, messages.recognition, timeout_s, self.retries)

    def search_region(
        self,
        picture: bytes,
        region: results.Box,
        top_k: int | None,
        min_score: float | None,
        wanted: results.Filter | None,
        page_token: str,
    ) -> Call[results.RegionSearch]:
        request = pb.SearchRegionRequest(
            picture=picture,
            region=messages.box_message(region),
            search=messages.search_options(top_k, min_score, wanted),
            page_token=page_token,
        )
        answer, timeout_s = pb.SearchRegionResponse, self.timeouts.search_s
        return Call(_SEARCH + "SearchRegion", request, answer, messages.region_search, timeout_s, self.retries)

    def upsert_products(self, products: Sequence[results.ProductUpsert]) -> Call[results.Upsert]:
        request = pb.UpsertProductsRequest(products=map(messages.upsert_message, products))
        answer, timeout_s = pb.UpsertProductsResponse, self.timeouts.write_s
        return Call(_CATALOG + "UpsertProducts", request, answer, messages.upsert, timeout_s, self.retries)

    def delete_products(self, ids: Sequence[str]) -> Call[results.Deletion]:
        request = pb.DeleteProductsRequest(ids=ids)
        answer, timeout_s = pb.DeleteProductsResponse, self.timeouts.write_s
        return Call(_CATALOG + "DeleteProducts", request, answer, messages.deletion, timeout_s, self.retries)

    def get_product(self, product_id: str) -> Call[results.StoredProduct]:
        request = pb.GetProductRequest(id=product_id)
        timeout_s = self.timeouts.read_s
        return Call(
            _CATALOG + "GetProduct", request, pb.StoredProduct, messages.stored_product, timeout_s, self.retries
        )

    def list_products(
        self, wanted: results.Filter | None, page_size: int | None, page_token: str
    ) -> Call[results.ProductPage]:
        request = pb.ListProductsRequest(
            page_size=page_size, page_token=page_token, filter=messages.filter_message(wanted)
        )
        answer, timeout_s = pb.ListProductsResponse, self.timeouts.read_s
        return Call(_CATALOG + "ListProducts", request, answer, messages.product_page, timeout_s, self.retries)

    def health(self, service: str) -> Call[health.ServingStatus]:
        request = health_pb2.HealthCheckRequest(service=service)
        answer, timeout_s = health_pb2.HealthCheckResponse, self.timeouts.health_s
        return Call(_HEALTH_CHECK, request, answer, health.serving_status, timeout_s, NO_RETRIES)
