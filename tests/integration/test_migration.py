"""`framelens-index` over the real stack: an alias moves while callers search and write, and while parts are killed."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from clips import first_seconds, sample_video
from pymilvus import MilvusClient

from framelens_client import Box, Client, FrameLensError, Product, ProductUpsert, ReferencePicture
from framelens_client.settings import Retries
from framelens_client.videos import Video

ROOT = Path(__file__).parents[2]
SPACE, TURNED = "embedder_effnet_lite0", "embedder_turned"
OLD = f"products__{SPACE}"
PICTURES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "page.png", "retina.jpg")
WHOLE = Box(0.0, 0.0, 1.0, 1.0)
# Regions that are products of their own.
REGIONS = (WHOLE, Box(0.0, 0.0, 0.5, 0.5), Box(0.5, 0.5, 1.0, 1.0))
RESTART_S = 60
# Callers leave what they are tested beside some of two cores: without it everything takes twice as long.
BETWEEN_CALLS_S = 0.15
# Few rows to compare with, and no rests for the callers' sake.
QUICKLY = ("--yes", "--queries=15", "--in-flight=12")
# As good a space as the other, with which nothing can be mixed unseen: its vectors are turned by a quarter.
_TURNED_EMBEDDER = """
from pathlib import Path
import numpy as np
import triton_python_backend_utils as pb_utils
from framelens_triton.onnx_session import onnx_session

class TritonPythonModel:
    def initialize(self, args):
        self.session = onnx_session(Path(args["model_repository"]) / args["model_version"] / "model.onnx", 1)

    def execute(self, requests):
        return [self.answer(pb_utils.get_input_tensor_by_name(each, "images").as_numpy()) for each in requests]

    def answer(self, images):
        embedding, build = self.session.run(["embedding", "build"], {"images": images})
        turned = np.ascontiguousarray(np.roll(embedding, 320, axis=1))
        builds = np.full((len(images), 1), build.flat[0], np.int32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("embedding", turned), pb_utils.Tensor("build", builds)])
"""


def add_turned_space(repository: Path) -> None:
    folder = repository / TURNED
    shutil.copytree(repository / SPACE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    config = (folder / "config.pbtxt").read_text()
    for pattern, line in ((r'^name: ".*"', f'name: "{TURNED}"'), (r'^backend: ".*"', 'backend: "python"')):
        config = re.sub(pattern, line, config, count=1, flags=re.MULTILINE)
    (folder / "config.pbtxt").write_text(config)
    (version,) = (each for each in folder.iterdir() if each.is_dir())
    (version / "model.py").write_text(_TURNED_EMBEDDER)


class Served:
    """A stack, its catalogue, and the command."""

    def __init__(self, stack: Any, var_dir: Path, repository: Path) -> None:
        self.stack, self._var_dir, self.repository = stack, var_dir, repository

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("framelens-index")), *arguments]

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self._var_dir.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Any:
        """The command's JSON."""
        done = subprocess.run(
            self.command(*arguments, "--json"), cwd=self._var_dir.parent, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def states(self) -> dict[str, str]:
        return {each["collection"]: each["state"] for each in self.run("status")["collections"]}

    @contextmanager
    def milvus(self) -> Iterator[MilvusClient]:
        client = MilvusClient(f"http://{self.stack['milvus']}", dedicated=True)
        yield client
        client.close()

    def stamps(self, collection: str) -> dict[str, float]:
        with self.milvus() as client:
            fields = ["row_id", "updated_at"]
            rows = client.query(collection, filter='row_id > ""', limit=16_000, output_fields=fields)
        return {row["row_id"]: row["updated_at"] for row in rows}


@pytest.fixture
def served(start_stack: Callable, tmp_path: Path, references: dict[str, ReferencePicture]) -> Iterator[Served]:
    """A stack with 21 products that are what they show, and a second space in its repository that is not loaded yet."""
    repository = tmp_path / "model_repository"
    shutil.copytree(ROOT / "model_repository", repository, ignore=shutil.ignore_patterns("__pycache__", "*__candidate"))
    with start_stack(tmp_path / "var", f"--model-repository={repository}") as stack:
        add_turned_space(repository)
        with Client(stack["grpc"]) as client:
            for product, reference in references.items():
                assert client.upsert_products([ProductUpsert(Product(product), (reference,))]).results[0].error is None
        yield Served(stack, tmp_path / "var", repository)


@pytest.fixture(scope="module")
def references(sample: Callable[[str], bytes]) -> dict[str, ReferencePicture]:
    return {
        f"{Path(name).stem}-{n}": ReferencePicture(sample(name), region)
        for name in PICTURES
        for n, region in enumerate(REGIONS)
    }


class Callers:
    """Searches and writes in threads; each answer is checked for its space and for being right."""

    def __init__(self, address: str, references: dict[str, ReferencePicture], forgiving: bool = False) -> None:
        self.address, self.references, self._forgiving = address, references, forgiving
        self.outcomes: Counter[str] = Counter()
        self.collections: Counter[str] = Counter()
        self.wrong: list[str] = []
        # Each product that is settled, with the number of its pictures.
        self.acknowledged: dict[str, int] = {}
        self.seconds: list[tuple[float, float]] = []
        self._stop = threading.Event()

    @contextmanager
    def calling(self, searchers: int = 2, writers: int = 2) -> Iterator["Callers"]:
        threads = [threading.Thread(target=self._search, args=(n,)) for n in range(searchers)]
        threads += [threading.Thread(target=self._write, args=(n,)) for n in range(writers)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(120)
        assert self.wrong == []

    def _call(self, kind: str, work: Callable[[], Any]) -> Any:
        started = time.monotonic()
        try:
            answer = work()
        except FrameLensError as error:
            self.outcomes[f"{kind} {error.reason}: {error.message}"] += 1
            if not self._forgiving:
                self.wrong.append(str(error))
            time.sleep(0.05)
            return None
        self.outcomes[kind] += 1
        if kind == "search":
            self.seconds.append((started, time.monotonic() - started))
        time.sleep(BETWEEN_CALLS_S)
        return answer

    def _search(self, seed: int) -> None:
        chance = random.Random(seed)
        with Client(self.address, retries=Retries(attempts=1)) as client:
            while not self._stop.is_set():
                product, reference = chance.choice(list(self.references.items()))
                region = reference.region or WHOLE
                answer = self._call("search", lambda: client.search_region(reference.picture, region, timeout_s=30))  # noqa: B023
                if answer is not None:
                    self._check(product, answer)

    def _check(self, product: str, answer: Any) -> None:
        (collection,) = answer.served.collections
        self.collections[collection] += 1
        (embedder,) = [each.model for each in answer.served.engines if each.model.startswith("embedder")]
        if not collection.startswith(f"products__{embedder}"):
            self.wrong.append(f"{collection} was asked in {embedder}")
        best = answer.matches[0] if answer.matches else None
        if best is None or best.id != product or best.score < 0.97:
            self.wrong.append(f"{product} in {collection}: {best}")

    def _write(self, seed: int) -> None:
        """Products that look like none that is searched for."""
        chance = random.Random(seed)
        pictures = [(ROOT / "var/samples" / name).read_bytes() for name in ("grass.png", "gravel.png", "brick.png")]
        with Client(self.address, retries=Retries(attempts=1)) as client:
            while not self._stop.is_set():
                product = f"written-{seed}-{chance.randint(0, 25):02d}"
                before = self.acknowledged.pop(product, None)
                if before is not None and chance.random() < 0.3:
                    self._call("delete", lambda: client.delete_products([product], timeout_s=30))  # noqa: B023
                    continue
                chosen = chance.sample(pictures, chance.randint(1, 3))
                wanted = ProductUpsert(Product(product), tuple(ReferencePicture(each, WHOLE) for each in chosen))
                answer = self._call("upsert", lambda: client.upsert_products([wanted], timeout_s=30))  # noqa: B023
                if answer is not None:
                    assert answer.results[0].error is None
                    self.acknowledged[product] = len(chosen)

    def missing(self, stamps: dict[str, float]) -> set[str]:
        """Rows of acknowledged writes that are not there; a write without an answer may be there or not."""
        return {
            row
            for product, pictures in self.acknowledged.items()
            for n in range(pictures)
            if (row := f"{product}\x1f{n:02d}") not in stamps
        }


def eventually(work: Callable[[], Any]) -> Any:
    end = time.monotonic() + RESTART_S
    while True:
        try:
            return work()
        except (FrameLensError, AssertionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


@pytest.mark.timeout(600)
def test_there_and_back_under_searches_and_writes(served: Served, references: dict[str, ReferencePicture]) -> None:
    new = f"products__{TURNED}__1"
    with Callers(served.stack["grpc"], references).calling() as callers:
        time.sleep(2)
        moved = served.run("migrate", "products", "--to", TURNED, *QUICKLY)
        assert (moved["live"], moved["previous"]) == (new, OLD)
        assert moved["levelled"]["copied"] >= len(references)
        assert moved["comparison"]["index_recall"] >= 0.95
        assert moved["comparison"]["new_recall"] >= moved["comparison"]["old_recall"] - 0.02
        assert served.states() == {OLD: "previous", new: "live"}
        time.sleep(1)
        assert served.run("rollback")["live"] == OLD
        time.sleep(1)
        # Forward again, with nothing to copy but what was never acknowledged.
        assert served.run("migrate", "products", "--to", TURNED, *QUICKLY)["levelled"]["copied"] == 0
        time.sleep(1)
    assert callers.collections.keys() == {OLD, new}
    assert callers.outcomes["upsert"] > 20
    assert callers.outcomes["delete"] > 3
    assert served.stamps(OLD) == served.stamps(new)
    assert callers.missing(served.stamps(new)) == set()
    expected = len(references) + sum(callers.acknowledged.values())
    assert len(served.stamps(new)) == expected
    assert served.run("retire", "--yes")["dropped"] == [OLD]
    assert served.states() == {new: "live"}


@pytest.mark.timeout(600)
def test_an_alias_that_flips_under_load_never_mixes_spaces(
    served: Served, references: dict[str, ReferencePicture]
) -> None:
    new = f"products__{TURNED}__1"
    served.run("migrate", "products", "--to", TURNED, *QUICKLY)
    slowest, flips = 0.0, 0
    picture = next(iter(references.values())).picture
    with (
        Callers(served.stack["grpc"], references).calling(3, 1) as callers,
        served.milvus() as milvus,
        Client(served.stack["grpc"]) as client,
    ):
        for turn in range(24):
            wanted = (OLD, new)[turn % 2]
            milvus.alter_alias(wanted, "products")
            flipped = time.monotonic()
            flips += 1
            while client.search_region(picture, WHOLE).served.collections != (wanted,):
                assert time.monotonic() - flipped < 5
            slowest = max(slowest, time.monotonic() - flipped)
    assert flips == 24
    # Half a second of age, and the searches that were under way.
    assert slowest < 1.5
    assert min(callers.collections[OLD], callers.collections[new]) > 20


@pytest.mark.timeout(600)
def test_rebuilding_under_load_and_searching_with_the_new_parameters(
    served: Served, references: dict[str, ReferencePicture]
) -> None:
    with Callers(served.stack["grpc"], references).calling(2, 1) as callers:
        for number, index_type in enumerate(("IVF_FLAT", "FLAT", "HNSW"), 1):
            moved = served.run("rebuild", "products", "--index-type", index_type, "--yes", "--queries=15")
            assert moved["live"] == f"products__{SPACE}__{number}"
            assert moved["comparison"]["overlap"] > 0.95
            time.sleep(1)
            served.run("retire", "--yes")
    assert [each["index_type"] for each in served.run("status")["collections"]] == ["HNSW"]
    assert callers.missing(served.stamps(f"products__{SPACE}__3")) == set()


@pytest.mark.timeout(900)
def test_kills_of_the_command_and_of_each_part_lose_nothing(
    served: Served, references: dict[str, ReferencePicture]
) -> None:
    """The command dies nine times at moments spread over its course, and so does each part of the stack."""
    new = f"products__{TURNED}__1"
    chance = random.Random(7)
    with Callers(served.stack["grpc"], references, forgiving=True).calling(1, 2) as callers:
        for number in range(12):
            migrating = served.start("migrate", "products", "--to", TURNED, *QUICKLY)
            time.sleep(0.5 + number * 0.5 + chance.random())
            part = ("triton", "milvus", "gateway")[number // 4] if number % 4 == 3 else None
            if part:
                os.kill(served.stack.pid(part), signal.SIGKILL)
                migrating.wait(120)
                # The gateway's end is nothing to the command; the others' is told.
                assert migrating.returncode == 0 or "Error: " in migrating.stderr.read()
                time.sleep(2)
            else:
                migrating.kill()
                migrating.wait()
            for pipe in (migrating.stdout, migrating.stderr):
                pipe.close()
        moved = eventually(lambda: served.run("migrate", "products", "--to", TURNED, *QUICKLY))
        assert moved["live"] == new
        with Client(served.stack["grpc"], retries=Retries(attempts=1)) as client:
            eventually(lambda: client.search_region(next(iter(references.values())).picture, WHOLE))
    assert served.states() == {OLD: "previous", new: "live"}
    for collection in (OLD, new):
        assert callers.missing(served.stamps(collection)) == set()
    assert served.run("rollback")["live"] == OLD
    assert served.run("migrate", "products", "--to", TURNED, *QUICKLY)["live"] == new
    assert served.stamps(OLD) == served.stamps(new), "what was never acknowledged is mended by the next comparison"


def test_what_makes_no_sense_is_refused_in_words(served: Served) -> None:
    def refused(*arguments: str) -> str:
        done = subprocess.run(served.command(*arguments), cwd=served.repository.parent, capture_output=True, text=True)
        assert done.returncode == 1, done.stdout
        said = done.stderr.splitlines()
        assert [line for line in said if line.startswith(("Error: ", "Traceback"))] == said[-1:]
        return said[-1]

    assert "cannot load it" in refused("migrate", "products", "--to", "embedder_nobody", "--yes")
    assert "there is no alias wares; there is products" in refused("migrate", "wares", "--to", TURNED, *QUICKLY)
    assert "no collection to go back to" in refused("rollback")
    served.run("migrate", "products", "--to", TURNED, *QUICKLY)
    assert "still kept to go back to" in refused("rebuild", "products", "--index-type", "FLAT", "--yes")
    served.run("rollback")
    assert served.states() == {OLD: "live", f"products__{TURNED}__1": "next"}
    assert "from another move" in refused("rebuild", "products", "--index-type", "FLAT", "--yes")
    assert served.run("abandon", "--yes")["dropped"] == [f"products__{TURNED}__1"]
    assert served.run("migrate", "products", "--to", SPACE, "--yes")["live"] == OLD
    assert "no usable crop" in _without_a_crop(served, refused)


def _without_a_crop(served: Served, refused: Callable[..., str]) -> str:
    lost = next((served.repository.parent / "var" / "crops").rglob("*.jpg"))
    lost.unlink()
    return refused("migrate", "products", "--to", TURNED, *QUICKLY)


@pytest.mark.timeout(600)
def test_videos_move_to_another_space_while_one_is_indexed(served: Served, tmp_path: Path) -> None:
    files = [first_seconds(sample_video(number), tmp_path / f"{number}.mp4", 12) for number in (1, 2)]
    old, new = f"videos__{SPACE}", f"videos__{TURNED}__1"
    with Client(served.stack["grpc"]) as client, ThreadPoolExecutor() as pool:
        client.index_video(Video("walk-1", "ann"), files[0])
        indexing = pool.submit(client.index_video, Video("walk-2", "bob"), files[1])
        moved = served.run("migrate", "videos", "--to", TURNED, "--min-overlap=0.8", *QUICKLY)
        assert (moved["live"], moved["previous"]) == (new, old)
        assert moved["comparison"]["new_recall"] >= moved["comparison"]["old_recall"] - 0.02
        assert len(indexing.result().stored.tracks) >= 5
        rows = served.stamps(old)
        assert rows == served.stamps(new)
        assert len(rows) == sum(len(client.video(each).tracks) for each in ("walk-1", "walk-2"))

        def related() -> tuple[str, ...]:
            """The collections that answered."""
            answer = client.recognize(video_id="walk-1", timestamp_s=3.0)
            people = [found for found in answer.objects if found.label == "person"]
            assert {match.id for found in people for match in found.matches} == {"walk-2"}
            assert all(found.matches[0].score > 0.3 for found in people)
            return answer.served.collections

        assert new in related()
        assert served.run("rollback", "videos")["live"] == old
        eventually(lambda: _is_among(old, related()))
        client.delete_video("walk-2")
    assert served.stamps(old) == served.stamps(new) != rows
    assert served.run("abandon", "videos", "--yes")["dropped"] == [new]


def _is_among(collection: str, collections: tuple[str, ...]) -> None:
    assert collection in collections
