import signal
import subprocess
import sys
from pathlib import Path

import pytest

from framelens_engines import build
from framelens_engines.build import build_engine
from framelens_engines.errors import ProbeError, RepositoryError
from framelens_engines.progress import Reporter
from framelens_engines.store import EngineStore
from framelens_engines.user_onnx import embedder_plan
from framelens_triton.images.resize import Fit

from .conftest import Describe, WriteModel

STOPS = {
    # Where the process is killed: the function that never returns.
    "converted": "build.probe = stop",
    "about to stage": "store.EngineStore.stage = stop",
    "about to rename": "repository._sync_tree = stop",
}
PROGRAM = """
import sys, time
from pathlib import Path
from framelens_engines import build, repository, store
from framelens_engines.contract import Normalisation
from framelens_engines.progress import Reporter
from framelens_engines.user_model import PictureInput
from framelens_engines.user_onnx import embedder_plan
from framelens_triton.images.resize import Fit

def stop(*_):
    print("here", flush=True)
    time.sleep(60)

{stop}
picture = PictureInput(16, 16, Normalisation((0.0,) * 3, (255.0,) * 3), True)
plan = embedder_plan("embedder_x", Path(sys.argv[1]), picture, (), Fit.STRETCH)
build.build_engine(plan, store.EngineStore(Path(sys.argv[2])), Reporter(quiet=True))
"""


def test_building_again_does_nothing_and_says_so(
    store: EngineStore,
    embedder_onnx: WriteModel,
    unit_pixels: Describe,
    quiet: Reporter,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = embedder_plan("embedder_x", embedder_onnx(), unit_pixels(16, 16), (), Fit.STRETCH)
    first = build_engine(plan, store, quiet)
    changed = (first.folder / "model.onnx").stat().st_mtime_ns
    assert build_engine(plan, store, Reporter()) == first
    assert capsys.readouterr().err == f"embedder_x/1 is up to date (build {first.record.build})\n"
    assert (first.folder / "model.onnx").stat().st_mtime_ns == changed


def test_an_engine_that_fails_its_probe_is_not_staged(
    store: EngineStore,
    embedder_onnx: WriteModel,
    unit_pixels: Describe,
    quiet: Reporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ProbeError("wrong")

    monkeypatch.setattr(build, "probe", fail)
    plan = embedder_plan("embedder_x", embedder_onnx(), unit_pixels(16, 16), (), Fit.STRETCH)
    with pytest.raises(ProbeError):
        build_engine(plan, store, quiet)
    assert store.models() == []


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS.keys())
def test_a_killed_build_leaves_nothing_and_the_next_one_works(
    store: EngineStore, embedder_onnx: WriteModel, unit_pixels: Describe, quiet: Reporter, stop: str
) -> None:
    path = embedder_onnx()
    with subprocess.Popen(_builder(stop, path, store), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGKILL)
    workspaces = store.staged.root / ".building"
    assert store.versions("embedder_x") == []
    assert list(workspaces.iterdir())
    version = build_engine(embedder_plan("embedder_x", path, unit_pixels(16, 16), (), Fit.STRETCH), store, quiet)
    assert store.versions("embedder_x") == [version]
    assert list(workspaces.iterdir()) == []


def test_a_second_builder_is_refused(
    store: EngineStore, embedder_onnx: WriteModel, unit_pixels: Describe, quiet: Reporter
) -> None:
    path = embedder_onnx()
    with subprocess.Popen(_builder("build.probe = stop", path, store), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        with pytest.raises(RepositoryError, match="another framelens-engines builds or validates"):
            build_engine(embedder_plan("embedder_x", path, unit_pixels(16, 16), (), Fit.STRETCH), store, quiet)
        process.kill()


def _builder(stop: str, onnx_file: Path, store: EngineStore) -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(stop=stop), str(onnx_file), str(store.published.root)]


def test_the_same_build_again_gets_a_number_of_its_own(
    store: EngineStore, embedder_onnx: WriteModel, unit_pixels: Describe, quiet: Reporter
) -> None:
    plan = embedder_plan("embedder_x", embedder_onnx(), unit_pixels(16, 16), (), Fit.STRETCH)
    versions = [build_engine(plan, store, quiet), build_engine(plan, store, quiet, again=True)]
    assert [version.name for version in versions] == ["embedder_x/1", "embedder_x/2"]
    assert versions[0].record.build == versions[1].record.build
