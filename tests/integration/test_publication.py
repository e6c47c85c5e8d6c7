"""`framelens-engines` over the real Triton: versions change while callers ask, and a bad one changes nothing."""

import json
import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from framelens_client import Box, Client, FrameLensError
from framelens_client.settings import NO_RETRIES

ROOT = Path(__file__).parents[2]
MODEL = "embedder_effnet_lite0"
PICTURES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
WHOLE = Box(0.0, 0.0, 1.0, 1.0)


class Operator:
    """Runs the command as an operator would, on a repository and a Triton of this test's own."""

    def __init__(self, stack: Any, repository: Path, staging: Path) -> None:
        self.stack = stack
        self.staging = staging
        self._repository = repository

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        where = [f"--repository={self._repository}", f"--staging={self.staging}"]
        if arguments[0] in ("publish", "rollback", "retire", "gc", "candidate"):
            where += [f"--triton={self.stack['triton_grpc']}", f"--triton-metrics={self.stack['triton_metrics']}"]
        command = [str(ROOT / ".venv" / "server" / "bin" / "framelens-engines"), *arguments, *where]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    def done(self, *arguments: str) -> Any:
        """What a command that succeeds prints as JSON."""
        ended = self(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def operator(
    start_stack: Callable[..., AbstractContextManager[Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    folder = tmp_path_factory.mktemp("publication")
    repository = folder / "model_repository"
    # Links, for nothing writes into these files; the folders are this test's own.
    shutil.copytree(
        ROOT / "model_repository",
        repository,
        copy_function=_linked,
        ignore=shutil.ignore_patterns("__pycache__", "*__candidate", ".*"),
    )
    with start_stack(folder / "stack", f"--model-repository={repository}") as stack:
        yield Operator(stack, repository, folder / "staging")


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # Another file system.
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def pictures(sample: Callable[[str], bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name in PICTURES:
        (folder / name).write_bytes(sample(name))
    return folder


@pytest.fixture(scope="module")
def second(operator: Operator, pictures: Path) -> str:
    """The same engine, built again under the next number and validated."""
    built = operator.done("build", MODEL, "--again")
    name = f"{MODEL}/{built['version']}"
    refused = operator("publish", name)
    assert refused.returncode == 1
    assert f"run `framelens-engines validate {name}` first" in refused.stderr
    assert operator.done("validate", name, f"--pictures={pictures}")["parity"]["passed"] is True
    return name


@contextmanager
def asked_meanwhile(address: str, picture: Callable[[], bytes]) -> Iterator[Counter[str]]:
    """Counts what a caller who never pauses gets: versions, or errors."""
    got: Counter[str] = Counter()
    stopping = threading.Event()

    def ask() -> None:
        with Client(address, retries=NO_RETRIES) as client:
            while not stopping.is_set():
                try:
                    served = client.search_region(picture(), WHOLE, top_k=1).served
                    got.update(f"{engine.model}/{engine.version}" for engine in served.engines)
                except FrameLensError as error:
                    got[str(error)] += 1

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        yield got
    finally:
        stopping.set()
        for caller in callers:
            caller.join()


def test_a_version_is_published_and_rolled_back_and_no_caller_fails(
    operator: Operator, second: str, sample: Callable[[str], bytes], anew: Callable[[bytes], bytes]
) -> None:
    first = f"{MODEL}/1"
    server = operator.stack["triton_grpc"]
    with asked_meanwhile(operator.stack["grpc"], lambda: anew(sample("coffee.png"))) as got:
        assert operator.done("publish", second) == {server: 2}
        assert operator.done("publish", second) == {server: 2}, "repeating it does no harm"
        states = {f"{v['model']}/{v['version']}": v["state"] for v in operator.done("list", MODEL)}
        assert states == {first: "way back", second: "serving"}
        assert operator("retire", first).returncode == 1, "the way back stays"
        assert operator.done("rollback", MODEL) == {server: 1}
    assert got.keys() == {first, second}
    assert min(got.values()) > 3


def test_a_version_that_does_not_load_leaves_the_old_one_serving_and_says_why(
    operator: Operator, second: str, sample: Callable[[str], bytes], anew: Callable[[bytes], bytes]
) -> None:
    engine = operator.staging / second / "model.onnx"
    whole = engine.read_bytes()
    engine.write_bytes(whole[: len(whole) // 2])
    try:
        with asked_meanwhile(operator.stack["grpc"], lambda: anew(sample("coffee.png"))) as got:
            refused = operator("publish", second)
    finally:
        engine.write_bytes(whole)
    assert refused.returncode == 1
    assert f"could not load {MODEL}__candidate" in refused.stderr
    assert got.keys() == {f"{MODEL}/1"}
    assert operator.done("list", MODEL)[1]["state"] == "validated", "it may be published once it is whole"
