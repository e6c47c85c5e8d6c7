"""What a trial stands between: something that answers searches."""

from typing import Protocol

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline


class Search(Protocol):
    """Raises GatewayError."""

    async def recognize(self, request: pb.RecognizeRequest, deadline: Deadline) -> pb.RecognizeResponse: ...

    async def search_region(self, request: pb.SearchRegionRequest, deadline: Deadline) -> pb.SearchRegionResponse: ...
