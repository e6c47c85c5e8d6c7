"""Publish and rollback against stand-ins for Triton servers, interrupted at every step and repeated."""

import functools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framelens_engines import candidate_model, repository, store
from framelens_engines.candidate_model import drop_candidate, load_candidate
from framelens_engines.engine import Recipe, Source, new_record
from framelens_engines.errors import RepositoryError, ServerError, SwapError
from framelens_engines.housekeeping import State, collect_garbage, retire, state_of
from framelens_engines.model_config import EmbedderShape, description
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion, engine_file, write_record
from framelens_engines.store import EngineStore
from framelens_engines.swap import Swap
from framelens_engines.tensors import BUILD
from framelens_triton.images.resize import Fit

MODEL = "embedder_x"
SHAPE = EmbedderShape(8, 8, 3, Fit.STRETCH)
QUIET = Reporter(quiet=True)


class Server:
    """A Triton that reads a repository when it is told to load, as FACTS of the real one are: the highest version is
    served, and one that does not load leaves what was served.
    """

    def __init__(self, root: Path, name: str = "triton-1:8001") -> None:
        self.root, self.name = root, name
        self.loaded: dict[str, tuple[int, int]] = {}
        self.free = 10_000 * 2**20
        # Builds that fail to load, or answer as another.
        self.unloadable: set[int] = set()
        self.confused: set[int] = set()

    def restart(self) -> None:
        self.loaded = {}
        for folder in self.root.glob("*/config.pbtxt"):
            self.load(folder.parent.name)

    def load(self, model: str) -> None:
        numbers = [int(path.name) for path in (self.root / model).iterdir() if path.name.isdecimal()]
        build = json.loads((self.root / model / str(max(numbers)) / "engine.json").read_text())["build"]
        if build in self.unloadable:
            raise ServerError(f"Triton at {self.name} could not load {model}: broken")
        self.loaded[model] = max(numbers), build

    def unload(self, model: str) -> None:
        self.loaded.pop(model, None)

    def serving(self, model: str) -> int | None:
        return self.loaded.get(model, (None,))[0]

    def ask(self, model: str, version: int, images: np.ndarray) -> dict[str, np.ndarray]:
        number, build = self.loaded[model]
        if number != version:
            raise ServerError(f"{model}/{version} is not loaded")
        return {BUILD: np.full((len(images), 1), -1 if build in self.confused else build, np.int32)}

    def free_memory_bytes(self) -> int:
        return self.free


def stage(engines: EngineStore, precision: str, *, passed: bool | None = True) -> EngineVersion:
    """Staged and, unless `passed` is None, validated."""
    source = Source(package=None, version=None, file="f.onnx", sha256="a", licence="own")
    recipe = Recipe.model_validate(
        {"model": MODEL, "source": source, "precision": precision, "target": "onnxruntime", "conversion": {}}
    )
    with engines.building(), engines.workspace(MODEL) as folder:
        engine_file(folder, "onnxruntime").write_bytes(b"engine")
        version = engines.stage(folder, description(MODEL, SHAPE), new_record(recipe, "test", "0"))
    if passed is not None:
        update = {"parity": {"passed": passed}, "memory_mib": 100.0}
        write_record(version.folder, version.record.model_copy(update=update))
    return engines.get(version.name)


@pytest.fixture
def server(store: EngineStore) -> Server:
    """It serves version 1."""
    store.publish(stage(store, "fp32"))
    server = Server(store.published.root)
    server.restart()
    return server


@pytest.fixture
def swap(store: EngineStore, server: Server) -> Swap:
    return Swap(store, [server], QUIET)


def test_a_validated_version_is_served_and_the_one_before_is_the_way_back(
    store: EngineStore, server: Server, swap: Swap
) -> None:
    published = swap.publish(stage(store, "int8").name)
    assert (published.name, server.loaded) == ("embedder_x/2", {MODEL: (2, published.record.build)})
    assert [state_of(store, version) for version in store.versions(MODEL)] == [State.WAY_BACK, State.SERVING]
    assert store.candidate(MODEL) is None
    assert swap.rollback(MODEL).name == "embedder_x/1"
    assert server.serving(MODEL) == 1
    assert [state_of(store, version) for version in store.versions(MODEL)] == [State.SERVING, State.VALIDATED]
    assert swap.publish("embedder_x/2").name == "embedder_x/2"


@pytest.mark.parametrize("passed", [None, False])
def test_what_is_not_validated_is_refused(store: EngineStore, server: Server, swap: Swap, passed: bool | None) -> None:
    version = stage(store, "int8", passed=passed)
    with pytest.raises(SwapError, match="embedder_x/2 is not validated, or failed; run `framelens-engines validate"):
        swap.publish(version.name)
    assert server.serving(MODEL) == 1


def test_an_older_version_would_not_be_served_and_is_refused(store: EngineStore, server: Server, swap: Swap) -> None:
    older, newer = stage(store, "int8"), stage(store, "fp16")
    swap.publish(newer.name)
    with pytest.raises(SwapError, match="embedder_x/3 is published, and Triton serves the highest number"):
        swap.publish(older.name)
    assert server.serving(MODEL) == 3


@pytest.mark.parametrize("fault", ["unloadable", "confused"])
def test_a_version_that_does_not_load_or_answer_leaves_the_old_one(
    store: EngineStore, server: Server, swap: Swap, fault: str
) -> None:
    version = stage(store, "int8")
    getattr(server, fault).add(version.record.build)
    with pytest.raises((SwapError, ServerError), match=r"could not load|answers as build \[-1\]"):
        swap.publish(version.name)
    assert server.loaded.keys() == {MODEL}
    assert server.serving(MODEL) == 1
    assert state_of(store, store.get(version.name)) is State.VALIDATED
    server.restart()
    assert server.serving(MODEL) == 1


def test_a_version_that_fails_only_under_its_own_name_is_taken_back(
    store: EngineStore, server: Server, swap: Swap, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stage(store, "int8")
    load = server.load

    def refuse(model: str) -> None:
        server.unloadable = {version.record.build} if model == MODEL else set()
        load(model)

    monkeypatch.setattr(server, "load", refuse)
    with pytest.raises(SwapError, match=r"could not load embedder_x: broken\. triton-1:8001 serves embedder_x/1"):
        swap.publish(version.name)
    server.restart()
    assert server.serving(MODEL) == 1


def test_servers_are_changed_in_turn_and_the_first_that_fails_stops_it(store: EngineStore, server: Server) -> None:
    others = [Server(server.root, f"triton-{number}:8001") for number in (2, 3)]
    for other in others:
        other.restart()
    version = stage(store, "int8")
    swap = Swap(store, [server, *others], QUIET)
    answers = others[0].ask
    others[0].ask = lambda model, number, images: (  # type: ignore[method-assign]
        answers(model, number, images) if model != MODEL else {BUILD: np.array([[7]])}
    )
    with pytest.raises(SwapError, match="triton-2:8001: embedder_x/2 answers as build"):
        swap.publish(version.name)
    assert [(state.server, state.serving) for state in swap.states(MODEL)] == [
        ("triton-1:8001", 2),
        ("triton-2:8001", 2),
        ("triton-3:8001", 1),
    ]


def test_a_swap_that_does_not_fit_is_refused_before_anything_changes(
    store: EngineStore, server: Server, swap: Swap
) -> None:
    version = stage(store, "int8")
    server.free = 150 * 2**20
    with pytest.raises(SwapError, match="100 MiB a copy and a swap 200 MiB .* 150 MiB are free. Nothing was changed"):
        swap.publish(version.name)
    assert server.loaded.keys() == {MODEL}


def test_there_is_no_way_back_from_the_only_version(swap: Swap) -> None:
    with pytest.raises(SwapError, match="embedder_x has no way back: only embedder_x/1 is published"):
        swap.rollback(MODEL)


def test_two_changes_at_once_are_refused(store: EngineStore, swap: Swap) -> None:
    version = stage(store, "int8")
    with store.changing(), pytest.raises(RepositoryError, match="another framelens-engines changes"):
        swap.publish(version.name)


class Killed(BaseException):
    """kill -9, as far as one process can play it."""


class Killer:
    """Ends the command just before its n-th step that anybody else could see."""

    def __init__(self) -> None:
        self.left = -1

    def watch(self, step: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(step)
        def watched(*arguments: Any, **named: Any) -> Any:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return step(*arguments, **named)

        return watched


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Killer]:
    killer = Killer()
    for name in ("load", "unload", "serving", "ask"):
        monkeypatch.setattr(Server, name, killer.watch(getattr(Server, name)))
    for owner in (Path, shutil):
        for name in {Path: ("rename", "mkdir", "unlink", "write_text"), shutil: ("rmtree", "copytree", "copy2")}[owner]:
            monkeypatch.setattr(owner, name, killer.watch(getattr(owner, name)))
    # A killed process cleans nothing up.
    monkeypatch.setattr(candidate_model, "drop_candidate", killer.watch(candidate_model.drop_candidate))
    yield killer
    killer.left = -1


def _killed_at(killer: Killer, step: int, command: Callable[[], object]) -> bool:
    killer.left = step
    try:
        command()
    except Killed:
        return True
    finally:
        killer.left = -1
    return False


@pytest.mark.parametrize("triton_dies_too", [False, True])
def test_publish_can_be_killed_at_every_step_and_repeated(
    store: EngineStore, server: Server, killer: Killer, triton_dies_too: bool
) -> None:
    for step in range(200):
        version = stage(store, "int8" if step % 2 else "fp16") if step == 0 else _fresh(store, server)
        killed = _killed_at(killer, step, lambda v=version: Swap(store, [server], QUIET).publish(v.name))
        if triton_dies_too:
            server.restart()
        assert server.serving(MODEL) in (version.version, version.version - 1), step
        assert Swap(store, [server], QUIET).publish(version.name).version == server.serving(MODEL)
        assert store.candidate(MODEL) is None
        assert server.loaded.keys() == {MODEL}
        if not killed:
            break
    assert step >= 15


def _fresh(engines: EngineStore, server: Server) -> EngineVersion:
    """The next version to publish, with a single one before it."""
    for version in engines.published.versions(MODEL)[:-1]:
        shutil.rmtree(version.folder)
    return stage(engines, "int8")


@pytest.mark.parametrize("triton_dies_too", [False, True])
def test_rollback_can_be_killed_at_every_step_and_goes_back_once(
    store: EngineStore, server: Server, killer: Killer, triton_dies_too: bool
) -> None:
    swap = Swap(store, [server], QUIET)
    for precision in ("int8", "fp16"):
        swap.publish(stage(store, precision).name)
    for step in range(200):
        killed = _killed_at(killer, step, lambda: swap.rollback(MODEL))
        if triton_dies_too:
            server.restart()
        assert server.serving(MODEL) in (2, 3), step
        if killed:
            assert swap.rollback(MODEL).version == 2
        assert server.serving(MODEL) == 2
        swap.publish("embedder_x/3")
        if not killed:
            break
    assert step >= 5


def test_a_candidate_stands_beside_and_is_replaced(store: EngineStore, server: Server) -> None:
    first, second = stage(store, "int8"), stage(store, "fp16")
    for version in (first, first, second):
        load_candidate(store, version, [server], QUIET)
        assert server.serving("embedder_x__candidate") == store.candidate(MODEL) == version.version
        assert server.serving(MODEL) == 1
    assert store.models() == [MODEL]
    config = (server.root / "embedder_x__candidate" / "config.pbtxt").read_text()
    assert 'name: "embedder_x__candidate"' in config
    assert state_of(store, second) is State.CANDIDATE


def test_a_candidate_is_served_as_its_model_is(store: EngineStore, server: Server) -> None:
    configs = server.root / MODEL / "configs"
    configs.mkdir()
    own = (server.root / MODEL / "config.pbtxt").read_text()
    (configs / "gpu.pbtxt").write_text(own.replace("KIND_CPU", "KIND_GPU"))
    for config_name, kind in (("gpu", "KIND_GPU"), ("other", "KIND_CPU"), (None, "KIND_CPU")):
        engines = EngineStore(store.published.root, store.staged.root, config_name)
        version = stage(engines, "int8")
        load_candidate(engines, version, [server], QUIET)
        config = (server.root / "embedder_x__candidate" / "config.pbtxt").read_text()
        assert 'name: "embedder_x__candidate"' in config
        assert kind in config
        assert not (server.root / "embedder_x__candidate" / "configs").exists()
        drop_candidate(engines, MODEL, [server])


def test_a_version_that_the_models_backend_does_not_run_is_refused(
    store: EngineStore, server: Server, swap: Swap
) -> None:
    version = stage(store, "int8")
    configs = server.root / MODEL / "configs"
    configs.mkdir()
    own = (server.root / MODEL / "config.pbtxt").read_text()
    (configs / "tensorrt.pbtxt").write_text(own.replace('"onnxruntime"', '"tensorrt"'))
    named = EngineStore(store.published.root, store.staged.root, "tensorrt")
    with pytest.raises(
        RepositoryError, match=r"backend tensorrt \(configs/tensorrt.pbtxt\), which does not run engines"
    ):
        Swap(named, [server], QUIET).publish(version.name)
    assert swap.publish(version.name).version == server.serving(MODEL)
    with pytest.raises(RepositoryError, match="which does not run engines for onnxruntime"):
        Swap(named, [server], QUIET).rollback(MODEL)
    assert server.serving(MODEL) == version.version


def test_nothing_that_is_needed_is_retired_or_collected(store: EngineStore, server: Server, swap: Swap) -> None:
    names = [stage(store, "int8", passed=passed).name for passed in (True, False)]
    swap.publish(names[0])
    swap.publish(stage(store, "fp16").name)
    newest = stage(store, "int8")
    with pytest.raises(SwapError, match="embedder_x/4 is serving"):
        retire(store, "embedder_x/4", [4], way_back_too=True)
    with pytest.raises(SwapError, match="embedder_x/2 is the way back"):
        retire(store, "embedder_x/2", [4], way_back_too=False)
    assert collect_garbage(store, MODEL, [4], dry_run=True) == {"embedder_x/3": State.FAILED}
    assert retire(store, "embedder_x/1", [4], way_back_too=False).name == "embedder_x/1"
    assert collect_garbage(store, MODEL, [4], dry_run=False) == {"embedder_x/3": State.FAILED}
    assert [version.name for version in store.versions(MODEL)] == [
        "embedder_x/1",
        "embedder_x/2",
        "embedder_x/4",
        newest.name,
    ]


def test_modules_whose_steps_are_killed_are_those_in_use() -> None:
    """The killer replaces functions by name; a module that copied one would escape it."""
    assert not {"rmtree", "copytree", "copy2"} & (vars(store).keys() | vars(repository).keys())
