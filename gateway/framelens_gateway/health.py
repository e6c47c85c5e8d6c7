"""Watches the parts behind the gateway, for gRPC health, /readyz and the metrics.

In gRPC health "" is the process, which is well without them; each service is as ready as they are together, and each
part has its name: `triton`, `milvus`, and `space`, the embedder of the live collection. What a part says of itself goes
along with each answer, in its trailing metadata.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable
from typing import Any

from grpc_health.v1 import health, health_pb2

from framelens_client.health import DETAILS_KEY
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.errors import DeadlineExceeded, Unavailable
from framelens_gateway.index import Index
from framelens_gateway.metrics import Metrics
from framelens_gateway.recognizer import Recognizer
from framelens_gateway.routing import Route

log = logging.getLogger(__name__)

_EVERY_S = 1.0
# A part that takes longer than this to say that it is well is not.
_ANSWER_S = 5.0
_SERVICES = [service.full_name for service in pb.DESCRIPTOR.services_by_name.values()]


class Health:
    """What was seen of Triton and Milvus a moment ago."""

    def __init__(self, recognizer: Recognizer, index: Index, metrics: Metrics) -> None:
        self.servicer = _Servicer(self)
        self.parts = {"triton": False, "milvus": False, "space": False}
        # What a part that is up says of itself, by its name.
        self.details: dict[str, str] = {}
        self._recognizer, self._index, self._metrics = recognizer, index, metrics

    @property
    def ready(self) -> bool:
        return all(self.parts.values())

    async def begin(self) -> None:
        """Before the first look nothing is known to be ready."""
        await self._tell()

    async def watch(self) -> None:
        """Runs until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(_EVERY_S)

    async def stop_serving(self) -> None:
        """Tells balancers to send nothing more."""
        self.parts = dict.fromkeys(self.parts, False)
        await self.servicer.enter_graceful_shutdown()

    async def _look(self) -> None:
        looks = {
            "triton": self._recognizer.ready(),
            "milvus": self._index.ready(),
            "space": self._space_ready(),
        }
        seen = await asyncio.gather(*(_answers(part, look) for part, look in looks.items()))
        found = dict(zip(looks, seen, strict=True))
        for part, up in found.items():
            if up is not self.parts[part]:
                log.info("%s is %s", part, "ready" if up else "not ready")
        self.parts = found
        await self._tell()
        await self._look_closer()

    async def _look_closer(self) -> None:
        """Asked once while Triton is up: after a restart it may work elsewhere."""
        if not self.parts["triton"]:
            self.details = {}
        elif not self.details:
            try:
                self.details = {"triton": await self._recognizer.image_operations()}
            except (Unavailable, DeadlineExceeded) as error:
                log.debug("triton does not say how it works: %r", error)
                return
            log.info("triton: %s", self.details["triton"])

    async def _space_ready(self) -> bool:
        """Whether what is searched can be embedded. An alias that is not there yet needs no space."""
        collection = await self._index.resolve(Route.PRODUCTS)
        return collection is None or await self._recognizer.model_ready(collection.space)

    async def _tell(self) -> None:
        for part, up in self.parts.items():
            self._metrics.part_up.labels(part).set(up)
            await self.servicer.set(part, _status(up))
        for service in _SERVICES:
            await self.servicer.set(service, _status(self.ready))


class _Servicer(health.aio.HealthServicer):  # type: ignore[name-defined, misc]
    def __init__(self, seen: Health) -> None:
        super().__init__()
        self._seen = seen

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:  # noqa: ANN401, N802
        if self._seen.details:
            context.set_trailing_metadata(((DETAILS_KEY, json.dumps(self._seen.details).encode()),))
        return await super().Check(request, context)


async def _answers(part: str, ready: Awaitable[bool]) -> bool:
    """A part whose state cannot even be asked is not up, and the watch goes on."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await ready
    except (Unavailable, TimeoutError) as error:
        log.debug("%s: %r", part, error)
        return False
    except Exception:
        log.exception("the readiness of %s could not be seen", part)
        return False


def _status(up: bool) -> health_pb2.HealthCheckResponse.ServingStatus:
    return health_pb2.HealthCheckResponse.SERVING if up else health_pb2.HealthCheckResponse.NOT_SERVING
