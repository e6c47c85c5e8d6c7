"""The gateway's core over fakes at its two seams; sibling modules are found through this folder."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gateway_fakes import SPACE, UNNAMED_BOXES, FakeIndex, FakeRecognizer, MilvusLite

from framelens_gateway.admission import Admission
from framelens_gateway.aliases import Aliases
from framelens_gateway.calls import Calls, Cores
from framelens_gateway.catalog import Catalog
from framelens_gateway.catalog_writes import CatalogWrites
from framelens_gateway.crops import CropStore
from framelens_gateway.deadline import Deadline
from framelens_gateway.flushing import Flusher
from framelens_gateway.health import Health
from framelens_gateway.index import MilvusIndex
from framelens_gateway.index_types import IndexSettings
from framelens_gateway.merging import SearchMerger
from framelens_gateway.metrics import Metrics
from framelens_gateway.pictures import Pictures
from framelens_gateway.recognizer import DETECTOR
from framelens_gateway.routing import Routing
from framelens_gateway.serving import LiveServings, Servings
from framelens_gateway.settings import GatewaySettings
from framelens_gateway.trials.candidates import Candidates
from framelens_gateway.trials.shadow import TrialLimits
from framelens_gateway.trials.trials import Trials, TriedSearch
from framelens_gateway.unnamed.calibrations import Calibrations
from framelens_gateway.unnamed.selection import UnnamedObjects
from framelens_gateway.videos.arriving import Arriving
from framelens_gateway.videos.frames import FrameSettings
from framelens_gateway.videos.moments import MomentPolicy, Moments
from framelens_gateway.videos.related import Related
from framelens_gateway.videos.store import VideoStore
from framelens_gateway.videos.videos import Videos
from framelens_gateway.videos.writes import VideoWrites
from framelens_gateway.visual_search import VisualSearch

MAX_PICTURE_BYTES = 2048


@pytest.fixture
def index() -> FakeIndex:
    fake = FakeIndex()
    fake.add_collection()
    return fake


@pytest.fixture
def recognizer() -> FakeRecognizer:
    return FakeRecognizer()


@pytest.fixture
def aliases(index: FakeIndex, recognizer: FakeRecognizer) -> Aliases:
    return Aliases(index, recognizer, SPACE)


@pytest.fixture
def live_servings(aliases: Aliases) -> LiveServings:
    return LiveServings(aliases, DETECTOR)


@pytest.fixture
def moments() -> Moments:
    """By the packaged policy and routing."""
    return Moments.by(MomentPolicy.load(None), Routing.load(None))


@pytest.fixture
def video_store(tmp_path: Path, moments: Moments) -> VideoStore:
    return VideoStore(tmp_path / "videos", moments)


@pytest.fixture
async def videos(
    index: FakeIndex,
    recognizer: FakeRecognizer,
    aliases: Aliases,
    crops: CropStore,
    video_store: VideoStore,
    tmp_path: Path,
) -> AsyncIterator[Videos]:
    flusher = Flusher(index, 60)
    yield Videos(
        recognizer,
        VideoWrites(recognizer, aliases, index, crops, video_store, flusher),
        video_store,
        Arriving(tmp_path / "arriving", 2**20, [tmp_path / "on_server"], 5.0),
        FrameSettings(min_gap_s=0.2, max_gap_s=1.0, max_pixels=2**20),
        DETECTOR,
    )
    index.faults.clear()
    await flusher.close()


@pytest.fixture
def calibrations(index: FakeIndex, metrics: Metrics) -> Calibrations:
    """Nothing is calibrated until a test lets it be."""
    return Calibrations(index, UNNAMED_BOXES, 0.02, metrics.unnamed)


@pytest.fixture
def search_with(
    index: FakeIndex,
    recognizer: FakeRecognizer,
    video_store: VideoStore,
    calibrations: Calibrations,
    metrics: Metrics,
) -> Callable[[Servings], VisualSearch]:
    unnamed = UnnamedObjects(calibrations, UNNAMED_BOXES, metrics.unnamed)

    def make(servings: Servings) -> VisualSearch:
        merger = SearchMerger(index)
        related = Related(index, merger, video_store)
        return VisualSearch(recognizer, servings, merger, related, unnamed, Routing.load(None), MAX_PICTURE_BYTES)

    return make


@pytest.fixture
def search(search_with: Callable[[Servings], VisualSearch], live_servings: LiveServings) -> VisualSearch:
    return search_with(live_servings)


@pytest.fixture
async def trials(
    search: VisualSearch,
    search_with: Callable[[Servings], VisualSearch],
    live_servings: LiveServings,
    index: FakeIndex,
    recognizer: FakeRecognizer,
    metrics: Metrics,
) -> AsyncIterator[Trials]:
    limits = TrialLimits(max_in_flight=2, timeout_s=0.3, max_load=0.5, load=lambda: 0.0)
    candidates = Candidates(live_servings, index, recognizer, DETECTOR)
    made = Trials(search, search, candidates, search_with, limits, metrics.trials)
    yield made
    await made.close()


@pytest.fixture
def crops(tmp_path: Path) -> CropStore:
    return CropStore(tmp_path / "crops")


@pytest.fixture
async def catalog(
    index: FakeIndex, recognizer: FakeRecognizer, aliases: Aliases, crops: CropStore
) -> AsyncIterator[Catalog]:
    flusher = Flusher(index, 60)
    yield Catalog(aliases, index, CatalogWrites(recognizer, aliases, index, crops, flusher, MAX_PICTURE_BYTES))
    index.faults.clear()
    await flusher.close()


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(max_in_flight=4, max_catalog_in_flight=2, max_message_bytes=2**20)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def make_calls(
    trials: Trials,
    catalog: Catalog,
    videos: Videos,
    crops: CropStore,
    metrics: Metrics,
    settings: GatewaySettings,
) -> Callable[..., Calls]:
    """Calls under settings of the test's own."""

    def make(**changed: Any) -> Calls:
        here = settings.model_copy(update=changed)
        admission = Admission(here.max_in_flight)
        cores = Cores(TriedSearch(trials), catalog, videos, trials, Pictures(crops))
        return Calls(here, cores, admission, metrics)

    return make


@pytest.fixture
def calls(make_calls: Callable[..., Calls]) -> Calls:
    return make_calls()


@pytest.fixture
def health(recognizer: FakeRecognizer, index: FakeIndex, metrics: Metrics) -> Health:
    return Health(recognizer, index, metrics)


@pytest.fixture
def soon() -> Deadline:
    return Deadline.after(5)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], object]:
    """Waits until something holds, for a few seconds at most."""

    async def wait(holds: Callable[[], object], seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusLite]:
    server = MilvusLite(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def milvus_index(milvus: MilvusLite) -> AsyncIterator[MilvusIndex]:
    real = MilvusIndex(milvus.uri, "", IndexSettings("HNSW"), 3, 0.2)
    yield real
    await real.close()
