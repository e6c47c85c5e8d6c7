"""What the standard gRPC health service says about the gateway and its services."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from grpc_health.v1 import health_pb2

from framelens_client.v1 import framelens_pb2 as pb

# Trailing metadata of Check: JSON, each part's name and what it says of itself.
DETAILS_KEY = "framelens-details-bin"

_services = pb.DESCRIPTOR.services_by_name
SERVICES = ("", *(_services[name].full_name for name in ("VisualSearch", "Catalog", "Trials")))


class ServingStatus(StrEnum):
    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Health:
    """`gateway` is the process, the others say whether the parts behind each service answer too.

    `details` is what parts say of themselves, by their names: of `triton`, where its image operations work.
    """

    gateway: ServingStatus
    visual_search: ServingStatus
    catalog: ServingStatus
    trials: ServingStatus
    details: dict[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return {self.gateway, self.visual_search, self.catalog, self.trials} == {ServingStatus.SERVING}


@dataclass(frozen=True, slots=True)
class Check:
    """The answer about one service."""

    status: ServingStatus
    details: dict[str, str]


def health_of(checks: Iterable[Check]) -> Health:
    """Of one check for each of SERVICES, in their order."""
    gateway, visual_search, catalog, trials = checks
    return Health(gateway.status, visual_search.status, catalog.status, trials.status, gateway.details)


def check(answer: health_pb2.HealthCheckResponse, trailers: Iterable[tuple[str, str | bytes]]) -> Check:
    return Check(serving_status(answer), json.loads(dict(trailers).get(DETAILS_KEY, b"{}")))


def serving_status(answer: health_pb2.HealthCheckResponse) -> ServingStatus:
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return ServingStatus(name) if name in ServingStatus.__members__ else ServingStatus.UNKNOWN
