"""What the standard gRPC health service says about the gateway and its services."""

from dataclasses import dataclass
from enum import StrEnum

from grpc_health.v1 import health_pb2

from framelens_client.v1 import framelens_pb2 as pb

_services = pb.DESCRIPTOR.services_by_name
SERVICES = ("", *(_services[name].full_name for name in ("VisualSearch", "Catalog", "Trials")))


class ServingStatus(StrEnum):
    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Health:
    """`gateway` is the process, the others say whether the parts behind each service answer too."""

    gateway: ServingStatus
    visual_search: ServingStatus
    catalog: ServingStatus
    trials: ServingStatus

    @property
    def ready(self) -> bool:
        return {self.gateway, self.visual_search, self.catalog, self.trials} == {ServingStatus.SERVING}


def serving_status(answer: health_pb2.HealthCheckResponse) -> ServingStatus:
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return ServingStatus(name) if name in ServingStatus.__members__ else ServingStatus.UNKNOWN
