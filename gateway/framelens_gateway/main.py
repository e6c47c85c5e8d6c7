"""`framelens-gateway`: the gateway's process."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import uvicorn
from fastapi import FastAPI

from framelens_gateway.addresses import host_port
from framelens_gateway.admission import Admission
from framelens_gateway.aliases import Aliases
from framelens_gateway.caching.recognitions import CachedRecognizer
from framelens_gateway.caching.searches import CachedRows
from framelens_gateway.calls import Calls, Cores
from framelens_gateway.catalog import Catalog
from framelens_gateway.catalog_writes import CatalogWrites
from framelens_gateway.crops import CropStore
from framelens_gateway.flushing import Flusher
from framelens_gateway.grpc_server import grpc_server
from framelens_gateway.health import Health
from framelens_gateway.http_app import http_app
from framelens_gateway.index import Index, MilvusIndex, Rows
from framelens_gateway.merging import SearchMerger
from framelens_gateway.metrics import Metrics
from framelens_gateway.moment_search import MomentSearch
from framelens_gateway.pacing import PacedRecognizer
from framelens_gateway.pictures import Pictures
from framelens_gateway.recognizer import Recognizer, Recognizes, TritonRecognizer
from framelens_gateway.routing import Routing
from framelens_gateway.serving import LiveServings, Servings
from framelens_gateway.settings import GatewaySettings
from framelens_gateway.settings_faults import settings_or_exit
from framelens_gateway.trials.candidates import Candidates
from framelens_gateway.trials.shadow import TrialLimits
from framelens_gateway.trials.trials import Trials, TriedSearch
from framelens_gateway.unnamed.calibrations import Calibrations
from framelens_gateway.unnamed.selection import UnnamedObjects
from framelens_gateway.videos.arriving import Arriving
from framelens_gateway.videos.frames import FrameSettings
from framelens_gateway.videos.moments import MomentPolicy, Moments
from framelens_gateway.videos.related import Related
from framelens_gateway.videos.store import VideoStore, sweep_videos
from framelens_gateway.videos.stored_objects import StoredObjects
from framelens_gateway.videos.videos import Videos
from framelens_gateway.videos.writes import VideoWrites
from framelens_gateway.visual_search import VisualSearch

log = logging.getLogger("framelens")


def main() -> None:
    settings = settings_or_exit(GatewaySettings, "framelens-gateway")
    if settings.print_config:
        print(settings.model_dump_json(indent=2))
        return
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_serve(settings))
    except (OSError, ValueError) as error:
        sys.exit(f"framelens-gateway: {error}")


async def _serve(settings: GatewaySettings) -> None:
    """Serves until SIGTERM or SIGINT; calls in flight may finish, and what was written is flushed."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        if settings.otlp_endpoint:
            from framelens_gateway.trace_export import export_traces

            stack.callback(export_traces(settings.otlp_endpoint, settings.trace_share).shutdown)
        index = MilvusIndex(
            settings.milvus_uri,
            settings.milvus_token.get_secret_value(),
            settings.index,
            settings.milvus_timeout_s,
            settings.alias_ttl_s,
        )
        stack.push_async_callback(index.close)
        recognizer = TritonRecognizer(
            settings.triton_address, settings.max_picture_pixels, settings.max_picture_bytes, settings.detector
        )
        stack.push_async_callback(recognizer.close)
        flusher = Flusher(index, settings.flush_after_s)
        stack.push_async_callback(flusher.close)
        await _serve_with(settings, recognizer, index, flusher, stop)


async def _serve_with(
    settings: GatewaySettings, recognizer: Recognizer, index: Index, flusher: Flusher, stop: asyncio.Event
) -> None:
    metrics = Metrics()
    calibrations = Calibrations(index, settings.unnamed_boxes, settings.unnamed_false_alarms, metrics.unnamed)
    calls = _calls(settings, recognizer, index, flusher, metrics, calibrations)
    health = Health(recognizer, index, metrics)
    grpc_face = grpc_server(settings, calls, health)
    http_face = _http_server(settings, http_app(settings, calls, health, metrics))
    http_socket = _listen(settings.host, settings.http_port)
    await health.begin()
    await grpc_face.start()
    http_task = asyncio.create_task(http_face.serve([http_socket]))
    watching = asyncio.create_task(health.watch())
    sweeping = asyncio.create_task(_sweep(settings))
    calibrating = asyncio.create_task(calibrations.watch()) if settings.unnamed_boxes else None
    stopping = asyncio.create_task(stop.wait())
    grpc_address, http_address = (host_port(settings.host, port) for port in (settings.grpc_port, settings.http_port))
    # What there is by now stays: a full collection would stop every call for a tenth of a second to look at it.
    gc.collect()
    gc.freeze()
    log.info("gRPC on %s, HTTP on %s", grpc_address, http_address)
    await asyncio.wait({stopping, http_task}, return_when=asyncio.FIRST_COMPLETED)
    watching.cancel()
    sweeping.cancel()
    if calibrating:
        calibrating.cancel()
    await health.stop_serving()
    http_face.should_exit = True
    await asyncio.gather(grpc_face.stop(settings.shutdown_grace_s), http_task)
    stopping.cancel()
    await calls.close()


def _calls(
    settings: GatewaySettings,
    recognizer: Recognizer,
    index: Index,
    flusher: Flusher,
    metrics: Metrics,
    calibrations: Calibrations,
) -> Calls:
    aliases = Aliases(index, recognizer, settings.default_space)
    crops = CropStore(settings.crops_dir)
    paced, seen = PacedRecognizer(recognizer), CachedRows(index, settings.cache_searches_s, metrics.caches)
    admission = Admission(settings.max_in_flight)
    servings, routing = LiveServings(aliases, settings.detector), Routing.load(settings.routing_file)
    moments = Moments.by(MomentPolicy.load(settings.moments_file), routing)
    store = VideoStore(settings.videos_dir, moments)
    unnamed = UnnamedObjects(calibrations, settings.unnamed_boxes, metrics.unnamed)

    def search_with(servings: Servings, recognizer: Recognizes = paced, rows: Rows = index) -> VisualSearch:
        # Each has mergers of its own: one bad vector fails a whole call to Milvus.
        related = Related(index, SearchMerger(rows), store)
        merger = SearchMerger(rows)
        return VisualSearch(recognizer, servings, merger, related, unnamed, routing, settings.max_picture_bytes)

    live = search_with(servings)
    if settings.cache_mib:
        known = CachedRecognizer(
            paced, settings.cache_mib * 2**20, settings.cache_frames_s, settings.cache_engines_s, metrics.caches
        )
        live = search_with(servings, known, seen)
    limits = TrialLimits(
        max_in_flight=settings.max_shadows,
        timeout_s=settings.candidate_timeout_s,
        max_load=settings.shadow_max_load,
        load=lambda: admission.in_flight / settings.max_in_flight,
    )
    candidates = Candidates(servings, index, recognizer, settings.detector)
    trials = Trials(live, search_with(servings), candidates, search_with, limits, metrics.trials)
    search = MomentSearch(TriedSearch(trials), live, StoredObjects(store, crops, moments))
    writes = CatalogWrites(recognizer, aliases, seen, crops, flusher, settings.max_picture_bytes, settings.detector)
    videos = Videos(
        recognizer,
        VideoWrites(recognizer, aliases, seen, crops, store, flusher),
        store,
        Arriving(
            settings.videos_dir / "arriving", settings.max_video_bytes, settings.video_dirs, settings.read_timeout_s
        ),
        FrameSettings(settings.video_min_gap_s, settings.video_max_gap_s, settings.max_picture_pixels),
        settings.detector,
    )
    cores = Cores(search, Catalog(aliases, index, writes), videos, trials, Pictures(crops))
    return Calls(settings, cores, admission, metrics)


async def _sweep(settings: GatewaySettings) -> None:
    """Removes what killed writes have left."""
    await CropStore(settings.crops_dir).sweep()
    await sweep_videos(settings.videos_dir)


class _UvicornServer(uvicorn.Server):
    """Leaves signals to the gateway, which stops both faces together."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    """Raises OSError; uvicorn would end the process without a word to those who wait for it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(f"HTTP cannot listen on {host_port(host, port)}: {error.strerror}") from error


def _http_server(settings: GatewaySettings, app: FastAPI) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        settings.host,
        settings.http_port,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=round(settings.shutdown_grace_s),
    )
    return _UvicornServer(config)
