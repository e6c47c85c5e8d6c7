"""What every call passes through, on either face: token, admission, deadline, and an account of how it ended."""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.admission import Admission
from framelens_gateway.catalog import Catalog
from framelens_gateway.deadline import EARLY_S, Deadline
from framelens_gateway.errors import DeadlineExceeded, GatewayError, InternalError, NotArrived, Unauthenticated
from framelens_gateway.metrics import Metrics
from framelens_gateway.pictures import Pictures
from framelens_gateway.settings import GatewaySettings
from framelens_gateway.tracing import call_span
from framelens_gateway.trials.search import Search
from framelens_gateway.trials.trials import Trials
from framelens_gateway.videos.videos import Videos

log = logging.getLogger(__name__)

_MAX_CONTROL_IN_FLIGHT = 4
# Each is one small file; a person's page asks for a dozen at once.
_MAX_PICTURES_IN_FLIGHT = 64
# More than all that a search may bring beside its picture.
_BESIDE_PICTURE = 2**20

# Raises GatewayError.
ReadRequest = Callable[[], Awaitable[Message]]


@dataclass(frozen=True)
class Lane:
    """Calls that share a bound on how many are in flight, the deadline of callers that name none, and a largest size.

    `max_request_bytes` is of a message as it is in gRPC.
    """

    name: str
    admission: Admission
    default_deadline_s: float
    max_request_bytes: int


@dataclass(frozen=True)
class Method:
    """One method of the contract."""

    service: str
    name: str
    request: type[Message]
    response: type[Message]
    work: Callable[[Any, Deadline], Awaitable[Message]]
    lane: Lane


class Calls:
    """The methods of the contract; both faces run these and nothing else."""

    def __init__(
        self,
        settings: GatewaySettings,
        search: Search,
        catalog: Catalog,
        videos: Videos,
        trials: Trials,
        pictures: Pictures,
        admission: Admission,
        metrics: Metrics,
    ) -> None:
        """`admission` is of searches; trials look at it too."""
        self._tokens = [token.get_secret_value().encode() for token in settings.tokens]
        self._max_s, self._read_timeout_s = settings.max_deadline_s, settings.read_timeout_s
        self._metrics = metrics
        self._catalog, self._trials = catalog, trials
        self.methods = _methods(settings, search, catalog, videos, trials, pictures, admission)

    async def close(self) -> None:
        """Ends a trial, and waits for writes that outlive their calls."""
        await self._trials.close()
        await self._catalog.close()

    async def run(self, name: str, read: ReadRequest, headers: Mapping[str, str], timeout_s: float | None) -> Message:
        """Runs one method within its time, which begins now. Raises GatewayError, and nothing else but cancellation.

        The request is read only for a caller with a token, once there is a permit: until then it costs nothing. Of the
        headers, by lowercase names, `authorization` and those of W3C Trace Context are used.
        """
        with call_span(name, headers):
            return await self._accounted(self.methods[name], read, headers.get("authorization"), timeout_s)

    async def _accounted(
        self, method: Method, read: ReadRequest, authorization: str | None, timeout_s: float | None
    ) -> Message:
        started = time.monotonic()
        outcome = "OK"
        try:
            self._check_token(authorization)
            with method.lane.admission.permit():
                return await self._timed(method, read, timeout_s)
        except GatewayError as error:
            outcome = error.reason
            raise
        except asyncio.CancelledError:
            late = timeout_s is not None and time.monotonic() - started > timeout_s - EARLY_S
            outcome = Reason.DEADLINE_EXCEEDED if late else Reason.CANCELLED
            raise
        except Exception as error:
            log.exception("%s failed", method.name)
            outcome = Reason.INTERNAL
            raise InternalError from error
        finally:
            self._metrics.requests.labels(method.name, outcome).inc()

    async def _timed(self, method: Method, read: ReadRequest, timeout_s: float | None) -> Message:
        lane, started = method.lane, time.perf_counter()
        seconds = min(lane.default_deadline_s if timeout_s is None else timeout_s, self._max_s)
        deadline = Deadline.after(seconds)
        self._metrics.in_flight.labels(lane.name).set(lane.admission.in_flight)
        try:
            async with asyncio.timeout(seconds) as limit:
                response = await method.work(await self._read(read), deadline)
        except TimeoutError as error:
            if not limit.expired():
                raise
            left = f"{seconds * 1e3:.0f} ms" if seconds >= 1e-3 else "less than 1 ms"
            raise DeadlineExceeded(f"{method.name}, which had {left} left when it arrived") from error
        finally:
            self._metrics.latency.labels(method.name).observe(time.perf_counter() - started)
            self._metrics.in_flight.labels(lane.name).set(lane.admission.in_flight - 1)
        self._observe_stages(response)
        return response

    async def _read(self, read: ReadRequest) -> Message:
        """Raises NotArrived: a caller that stalls would keep its permit from the others as long as its deadline."""
        try:
            async with asyncio.timeout(self._read_timeout_s) as limit:
                return await read()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise NotArrived(self._read_timeout_s) from error

    def _observe_stages(self, response: Message) -> None:
        if isinstance(response, pb.RecognizeResponse | pb.SearchRegionResponse):
            for stage, milliseconds in response.served.stages_ms.items():
                self._metrics.stages.labels(stage).observe(milliseconds / 1e3)

    def _check_token(self, authorization: str | None) -> None:
        if not self._tokens:
            return
        scheme, _, token = (authorization or "").partition(" ")
        # Every token is compared, in constant time, so that timing tells nothing about any of them.
        matches = [hmac.compare_digest(token.strip().encode(), known) for known in self._tokens]
        if scheme.lower() != "bearer" or not any(matches):
            raise Unauthenticated


def _methods(
    settings: GatewaySettings,
    search: Search,
    catalog: Catalog,
    videos: Videos,
    trials: Trials,
    pictures: Pictures,
    admission: Admission,
) -> dict[str, Method]:
    most = settings.max_message_bytes
    # One picture each: as many as may be in flight would otherwise hold as many of the largest messages.
    one_picture = min(settings.max_picture_bytes + _BESIDE_PICTURE, most)
    searches = Lane("search", admission, settings.default_deadline_s, one_picture)
    writes = Lane("catalog", Admission(settings.max_catalog_in_flight), settings.catalog_deadline_s, most)
    # Their own, so that an import does not keep readers out.
    reads = Lane("catalog_read", Admission(settings.max_catalog_reads_in_flight), settings.catalog_deadline_s, most)
    # Its own, so that a page full of pictures keeps no reader of the catalogue out.
    crops = Lane("picture", Admission(_MAX_PICTURES_IN_FLIGHT), settings.default_deadline_s, most)
    # Its own, so that a trial can be stopped while searches are shed.
    control = Lane("trial", Admission(_MAX_CONTROL_IN_FLIGHT), settings.default_deadline_s, most)
    # Their own: they read a small file each, and are asked for with every page of a feed.
    moments = Lane("moments", Admission(settings.max_moments_in_flight), settings.default_deadline_s, _BESIDE_PICTURE)
    methods = (
        _method("VisualSearch", "GetMoments", videos.moments, moments),
        _method("VisualSearch", "BatchGetMoments", videos.batch_moments, moments),
        _method("Catalog", "DeleteVideo", videos.delete, writes),
        _method("Catalog", "GetVideo", videos.get, reads),
        _method("Catalog", "ListVideos", videos.list_videos, reads),
        _method("VisualSearch", "Recognize", search.recognize, searches),
        _method("VisualSearch", "SearchRegion", search.search_region, searches),
        _method("VisualSearch", "GetPicture", pictures.get, crops),
        _method("Catalog", "UpsertProducts", catalog.upsert, writes),
        _method("Catalog", "UpdateProducts", catalog.update, writes),
        _method("Catalog", "DeleteProducts", catalog.delete, writes),
        _method("Catalog", "GetProduct", catalog.get, reads),
        _method("Catalog", "ListProducts", catalog.list_products, reads),
        _method("Trials", "StartTrial", trials.start, control),
        _method("Trials", "StopTrial", trials.stop, control),
        _method("Trials", "GetTrial", trials.get, control),
    )
    return {method.name: method for method in methods}


def _method(service: str, name: str, work: Callable[[Any, Deadline], Awaitable[Message]], lane: Lane) -> Method:
    """The contract says which messages a method takes and gives."""
    described = pb.DESCRIPTOR.services_by_name[service]
    method = described.methods_by_name[name]
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    return Method(described.full_name, name, request, response, work, lane)
