import signal
import subprocess
import sys
from pathlib import Path

import pytest

from framelens_engines import build
from framelens_engines.build import build_engine
from framelens_engines.errors import ProbeError
from framelens_engines.progress import Reporter
from framelens_engines.repository import ModelRepository
from framelens_engines.user_onnx import embedder_plan

from .conftest import Describe, WriteModel

STOPS = {
    # Where the process is killed: the function that never returns.
    "converted": "build.probe = stop",
    "about to publish": "repository.ModelRepository.publish = stop",
    "about to rename": "repository._rename_in = stop",
}
PROGRAM = """
import sys, time
from pathlib import Path
from framelens_engines import build, repository
from framelens_engines.contract import Normalisation
from framelens_engines.progress import Reporter
from framelens_engines.user_model import PictureInput
from framelens_engines.user_onnx import embedder_plan

def stop(*_):
    print("here", flush=True)
    time.sleep(60)

{stop}
picture = PictureInput(16, 16, Normalisation((0.0,) * 3, (255.0,) * 3), True)
plan = embedder_plan("embedder_x", Path(sys.argv[1]), picture, (), "stretch")
build.build_engine(plan, repository.ModelRepository(Path(sys.argv[2])), Reporter(quiet=True))
"""


def test_building_again_does_nothing_and_says_so(
    repository: ModelRepository,
    embedder_onnx: WriteModel,
    unit_pixels: Describe,
    quiet: Reporter,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = embedder_plan("embedder_x", embedder_onnx(), unit_pixels(16, 16), (), "stretch")
    first = build_engine(plan, repository, quiet)
    changed = (first.folder / "model.onnx").stat().st_mtime_ns
    assert build_engine(plan, repository, Reporter()) == first
    assert capsys.readouterr().err == f"embedder_x: version 1 is up to date (build {first.record.build})\n"
    assert (first.folder / "model.onnx").stat().st_mtime_ns == changed


def test_an_engine_that_fails_its_probe_is_not_published(
    repository: ModelRepository,
    embedder_onnx: WriteModel,
    unit_pixels: Describe,
    quiet: Reporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ProbeError("wrong")

    monkeypatch.setattr(build, "probe", fail)
    plan = embedder_plan("embedder_x", embedder_onnx(), unit_pixels(16, 16), (), "stretch")
    with pytest.raises(ProbeError):
        build_engine(plan, repository, quiet)
    assert list(repository.root.iterdir()) == []


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS.keys())
def test_a_killed_build_leaves_the_repository_clean_and_the_next_one_works(
    repository: ModelRepository, embedder_onnx: WriteModel, unit_pixels: Describe, quiet: Reporter, stop: str
) -> None:
    path = embedder_onnx()
    command = [sys.executable, "-c", PROGRAM.format(stop=stop), str(path), str(repository.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGKILL)
    staging = repository.root.parent / "var" / "staging"
    assert list(repository.root.iterdir()) == []
    assert [entry for entry in staging.iterdir() if entry.is_dir()]
    version = build_engine(embedder_plan("embedder_x", path, unit_pixels(16, 16), (), "stretch"), repository, quiet)
    assert repository.versions("embedder_x") == [version]
    assert [entry for entry in staging.iterdir() if entry.is_dir()] == []


def test_two_builders_at_once_make_one_version(repository: ModelRepository, embedder_onnx: WriteModel) -> None:
    path: Path = embedder_onnx()
    command = [sys.executable, "-c", PROGRAM.format(stop=""), str(path), str(repository.root)]
    builders = [subprocess.Popen(command) for _ in range(2)]
    assert [builder.wait(60) for builder in builders] == [0, 0]
    assert [version.version for version in repository.versions("embedder_x")] == [1]
