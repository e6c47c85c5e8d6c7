"""Watches the parts behind the gateway, for gRPC health, /readyz and the metrics."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from grpc_health.v1 import health, health_pb2

from framelens_gateway.index import Index
from framelens_gateway.metrics import Metrics
from framelens_gateway.recognizer import Recognizer

log = logging.getLogger(__name__)

_EVERY_S = 1.0
_SERVICES = ("", "framelens.v1.VisualSearch", "framelens.v1.Catalog")


class Health:
    """What was seen of Triton and Milvus a moment ago."""

    def __init__(self, recognizer: Recognizer, index: Index, metrics: Metrics) -> None:
        self.servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self.parts = {"triton": False, "milvus": False}
        self._recognizer, self._index, self._metrics = recognizer, index, metrics

    @property
    def ready(self) -> bool:
        return all(self.parts.values())

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
        triton, milvus = await asyncio.gather(_answers(self._recognizer.ready()), _answers(self._index.ready()))
        self.parts = {"triton": triton, "milvus": milvus}
        for part, up in self.parts.items():
            self._metrics.part_up.labels(part).set(up)
            await self.servicer.set(part, _status(up))
        for service in _SERVICES:
            await self.servicer.set(service, _status(self.ready))


async def _answers(ready: Coroutine[Any, Any, bool]) -> bool:
    """A part whose state cannot even be asked is not up, and the watch goes on."""
    try:
        return await ready
    except Exception:
        log.exception("a part's readiness could not be seen")
        return False


def _status(up: bool) -> health_pb2.HealthCheckResponse.ServingStatus:
    return health_pb2.HealthCheckResponse.SERVING if up else health_pb2.HealthCheckResponse.NOT_SERVING
