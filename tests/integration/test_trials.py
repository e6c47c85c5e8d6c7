"""Trials over the real stack: candidates that are as good as the live engines, broken, slow, and of another space."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from tritonclient.grpc import InferenceServerClient

from framelens_client import Bounds, Client, NotFound, Retries, Trial
from framelens_gateway.index import MilvusIndex
from framelens_gateway.index_types import IndexSettings

ROOT = Path(__file__).parents[2]
SPACE = "embedder_effnet_lite0"
DETECTOR = "detector__candidate"
CALLERS = 4
# A detector that fails every request, or answers too late.
_BROKEN = 'raise pb_utils.TritonModelException("broken on purpose")'
_HANGS = "time.sleep(3)"
_PYTHON_DETECTOR = """
import time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        {fault}
        return [self.answer(len(pb_utils.get_input_tensor_by_name(each, "images").as_numpy())) for each in requests]

    def answer(self, count):
        return pb_utils.InferenceResponse([
            pb_utils.Tensor("boxes", np.zeros((count, 100, 4), np.float32)),
            pb_utils.Tensor("scores", np.zeros((count, 100), np.float32)),
            pb_utils.Tensor("labels", np.zeros((count, 100), np.int32)),
            pb_utils.Tensor("build", np.zeros((count, 1), np.int32)),
        ])
"""


class Repository:
    """A model repository with candidates, and the Triton that serves it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.triton = ""

    def put(self, model: str) -> None:
        """A copy of a model, as its candidate."""
        folder = self.path / f"{model}__candidate"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.path / model, folder, ignore=shutil.ignore_patterns("__pycache__"))
        self._configure(folder, r'^name: ".*"', f'name: "{model}__candidate"')

    def put_detector_with(self, fault: str) -> None:
        self.put("detector")
        folder = self.path / DETECTOR
        self._configure(folder, r'^backend: ".*"', 'backend: "python"')
        (folder / "1" / "model.py").write_text(_PYTHON_DETECTOR.format(fault=fault))
        self.load(DETECTOR)

    def load(self, model: str) -> None:
        with InferenceServerClient(self.triton) as triton:
            triton.load_model(model)

    def unload(self, model: str) -> None:
        with InferenceServerClient(self.triton) as triton:
            triton.unload_model(model)
            while triton.is_model_ready(model):
                time.sleep(0.01)

    def _configure(self, folder: Path, pattern: str, line: str) -> None:
        config = folder / "config.pbtxt"
        config.write_text(re.sub(pattern, line, config.read_text(), count=1, flags=re.MULTILINE))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("models") / "model_repository")
    shutil.copytree(ROOT / "model_repository", made.path, ignore=shutil.ignore_patterns("__pycache__", "*__candidate"))
    for model in ("detector", SPACE, "recognizer"):
        made.put(model)
    return made


@pytest.fixture(scope="module")
def tried_stack(
    repository: Repository, start_stack: Callable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[object]:
    with start_stack(tmp_path_factory.mktemp("tried"), f"--model-repository={repository.path}") as running:
        repository.triton = running["triton_grpc"]
        yield running


@pytest.fixture
def asker(tried_stack: object, upsert_of: Callable) -> Iterator[Client]:
    """A client that reports the first failure; cups are indexed, and no trial is running before or after."""
    with Client(tried_stack["grpc"], retries=Retries(attempts=1)) as client:
        client.upsert_products([upsert_of("cup", "coffee.png"), upsert_of("cat", "chelsea.png")])
        yield client
        client.stop_trial()


@pytest.fixture
def good_detector(repository: Repository, asker: Client, jpeg: Callable) -> Iterator[None]:
    """Puts the good candidate back after a bad one, and waits until what that one was asked is over."""
    yield
    asker.stop_trial()
    repository.put("detector")
    repository.load(DETECTOR)
    asker.start_trial("shadow", 1, engine=DETECTOR)
    while not asker.trial().shadow.compared:
        asker.recognize(jpeg("coffee.png"))


def ask_many(client: Client, picture: bytes, count: int, prefix: str = "user", timeout_s: float = 10) -> list[tuple]:
    """Answers with the seconds that each took, of as many users; a failure is raised."""

    def ask(number: int) -> tuple:
        started = time.perf_counter()
        answer = client.recognize(picture, key=f"{prefix}-{number}", timeout_s=timeout_s)
        return answer, time.perf_counter() - started

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(ask, range(count)))


def p99_ms(answers: list[tuple]) -> float:
    ordered = sorted(seconds for _, seconds in answers)
    return ordered[int(0.99 * (len(ordered) - 1))] * 1e3


def candidates_in(answers: list[tuple]) -> set[str]:
    return {answer.served.candidate for answer, _ in answers}


def eventually(client: Client, holds: Callable[[Trial], object]) -> Trial:
    end = time.monotonic() + 20
    while not holds(trial := client.trial()):
        assert time.monotonic() < end, trial
        time.sleep(0.05)
    return trial


@pytest.mark.parametrize("engine", [DETECTOR, f"{SPACE}__candidate"])
def test_a_shadow_of_the_same_engine_agrees_in_everything(asker: Client, jpeg: Callable, engine: str) -> None:
    trial = asker.start_trial("shadow", 1, engine=engine)
    assert not any("recognizer__candidate" in note for note in trial.notes), "the candidate has its own recognizer"
    for name in ("coffee.png", "astronaut.png", "motorcycle_left.png") * 3:
        answer = asker.recognize(jpeg(name))
        assert answer.served.candidate == ""
        assert engine not in {each.model for each in answer.served.engines}
        eventually(asker, lambda seen, before=trial.shadow: seen.shadow.compared > before.compared)
        trial = asker.trial()
    report = trial.shadow
    assert (report.compared, report.failed, report.timed_out) == (9, 0, 0)
    assert report.live_objects == report.candidate_objects == report.agreed_objects >= 9
    assert report.searches == report.agreed_top1 > 0
    assert report.overlap_at_k.mean == 1
    assert abs(report.object_score_shift.mean) < 1e-3
    assert report.disagreements == ()


def test_a_canary_keeps_its_share_and_every_user_on_one_side(asker: Client, jpeg: Callable) -> None:
    picture = jpeg("coffee.png")
    asker.start_trial("canary", 0.3, engine=DETECTOR, bounds=Bounds(max_p99_ratio=20))
    first, second = ask_many(asker, picture, 120), ask_many(asker, picture, 120)
    chosen = [answer.served.candidate for answer, _ in first]
    assert chosen == [answer.served.candidate for answer, _ in second]
    assert 20 < chosen.count(DETECTOR) < 55
    for answer, _ in first:
        assert answer.objects[0].matches[0].id == "cup"
        assert (DETECTOR in {each.model for each in answer.served.engines}) is bool(answer.served.candidate)
    trial = asker.trial()
    assert (trial.state, trial.canary.served, trial.canary.failed) == ("running", 2 * chosen.count(DETECTOR), 0)
    assert asker.stop_trial().state == "stopped"
    assert candidates_in(ask_many(asker, picture, 60)) == {""}


def test_a_broken_canary_harms_nobody_and_is_out(
    asker: Client, repository: Repository, jpeg: Callable, good_detector: None
) -> None:
    picture = jpeg("coffee.png")
    repository.put_detector_with(_BROKEN)
    asker.start_trial("canary", 0.5, engine=DETECTOR)
    answers = ask_many(asker, picture, 60)
    assert candidates_in(answers) == {""}
    assert {answer.objects[0].matches[0].id for answer, _ in answers} == {"cup"}
    trial = asker.trial()
    assert (trial.state, trial.canary.served) == ("rolled_back", 0)
    # Those that were under way when the bound was left have failed as well.
    assert 3 <= trial.canary.failed <= 3 + CALLERS
    assert "requests failed" in trial.reason
    assert "broken on purpose" in trial.canary.errors[0]


def test_a_hanging_canary_leaves_time_for_the_live_answer(
    asker: Client, repository: Repository, jpeg: Callable, good_detector: None
) -> None:
    picture = jpeg("coffee.png")
    repository.put_detector_with(_HANGS)
    asker.start_trial("canary", 0.5, engine=DETECTOR)
    answers = ask_many(asker, picture, 40, timeout_s=2.5)
    assert {answer.objects[0].matches[0].id for answer, _ in answers} == {"cup"}
    trial = asker.trial()
    assert trial.state == "rolled_back"
    assert trial.canary.failed >= 3


def test_a_slow_canary_is_out_by_its_p99(
    asker: Client, repository: Repository, jpeg: Callable, good_detector: None
) -> None:
    picture = jpeg("coffee.png")
    repository.put_detector_with("time.sleep(0.3)")
    asker.start_trial("canary", 0.5, engine=DETECTOR, bounds=Bounds(max_p99_ratio=1.5, min_requests=10))
    ask_many(asker, picture, 80)
    trial = asker.trial()
    assert (trial.state, trial.canary.failed) == ("rolled_back", 0)
    assert "times that" in trial.reason


@pytest.mark.parametrize("fault", [_BROKEN, _HANGS], ids=["broken", "hanging"])
def test_a_bad_shadow_never_touches_a_caller(
    asker: Client, repository: Repository, jpeg: Callable, good_detector: None, fault: str
) -> None:
    picture = jpeg("coffee.png")
    ask_many(asker, picture, 40)
    before = p99_ms(ask_many(asker, picture, 150))
    repository.put_detector_with(fault)
    asker.start_trial("shadow", 1, engine=DETECTOR)
    answers = ask_many(asker, picture, 150)
    assert {answer.objects[0].matches[0].id for answer, _ in answers} == {"cup"}
    # A batch that waits for the candidate would take its two seconds.
    assert p99_ms(answers) < 2 * before + 300
    trial = eventually(asker, lambda seen: seen.shadow.failed + seen.shadow.timed_out >= 2)
    assert trial.shadow.compared == 0
    assert trial.state == "running"


def test_a_candidate_that_is_unloaded_during_its_canary(
    asker: Client, repository: Repository, jpeg: Callable, good_detector: None
) -> None:
    picture = jpeg("coffee.png")
    asker.start_trial("canary", 0.5, engine=DETECTOR, bounds=Bounds(max_p99_ratio=20))
    before = ask_many(asker, picture, 30)
    repository.unload(DETECTOR)
    after = ask_many(asker, picture, 30)
    assert (candidates_in(before), candidates_in(after)) == ({"", DETECTOR}, {""})
    assert {answer.objects[0].matches[0].id for answer, _ in before + after} == {"cup"}
    assert asker.trial().state == "rolled_back"
    with pytest.raises(NotFound, match="detector__candidate is not ready"):
        asker.start_trial("canary", 0.5, engine=DETECTOR)


async def test_a_space_answers_wholly_or_not_at_all(
    asker: Client, tried_stack: object, upsert_of: Callable, sample: Callable
) -> None:
    picture = sample("coffee.png")
    with pytest.raises(NotFound, match="no alias products__next"):
        asker.start_trial("canary", 0.5, space="next")
    index = MilvusIndex(f"http://{tried_stack['milvus']}", "", IndexSettings("HNSW"), 5, 0.1)
    await index.create("products__next", SPACE, 1280)
    await index.close()
    await asyncio.sleep(1)
    # Only what is written from now on is in it.
    asker.upsert_products([upsert_of("new-cup", "coffee.png")])
    asker.start_trial("canary", 0.5, space="next", bounds=Bounds(max_p99_ratio=20))
    answers = ask_many(asker, picture, 60)
    assert candidates_in(answers) == {"", "products__next"}
    for answer, _ in answers:
        matches = {match.id for match in answer.objects[0].matches}
        if answer.served.candidate:
            assert (matches, answer.served.collections) == ({"new-cup"}, (f"products__next__{SPACE}",))
        else:
            assert ("cup" in matches, answer.served.collections) == (True, (f"products__{SPACE}",))
    milvus = MilvusClient(f"http://{tried_stack['milvus']}")
    milvus.drop_alias("products__next")
    milvus.close()
    answers = ask_many(asker, picture, 100)
    assert {answer.served.candidate for answer, _ in answers[-20:]} == {""}
    assert asker.trial().state == "rolled_back"
    asker.delete_products(["new-cup"])


def test_the_commands_of_the_page_run(asker: Client, tried_stack: object) -> None:
    page = (ROOT / "docs" / "trials.md").read_text()
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if block.startswith("framelens trial")]
    assert len(blocks) == 2
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "FRAMELENS_ADDRESS": tried_stack["grpc"]}
    for block in blocks:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()


def test_the_command(asker: Client, tried_stack: object, jpeg: Callable) -> None:
    def framelens(*arguments: str, status: int = 0) -> str:
        command = [Path(sys.executable).with_name("framelens"), "--address", tried_stack["grpc"], "trial", *arguments]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "running" in framelens("start", "--canary", "0.2", "--engine", DETECTOR)
    ask_many(asker, jpeg("coffee.png"), 40)
    status = json.loads(framelens("status", "--json"))
    assert (status["state"], status["candidate"]) == ("running", DETECTOR)
    assert 0 < status["canary"]["served"] < 20
    assert "is running; stop it first" in framelens("start", "--shadow", "0.2", "--engine", DETECTOR, status=1)
    assert "stopped" in framelens("stop")
