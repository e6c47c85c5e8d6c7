"""Validation of real engines: one against itself, and ones that are wrong in ways that happen."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from framelens_engines.errors import EngineError, RepositoryError
from framelens_engines.evaluation import timing
from framelens_engines.evaluation.golden import GOLDEN_FILE, difference, read_golden
from framelens_engines.evaluation.report import DetectorAgreement, EmbedderAgreement, Report
from framelens_engines.evaluation.tables import report_table
from framelens_engines.evaluation.validation import evaluate
from framelens_engines.probe import open_session, run
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion

PICTURES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
EMBEDDER = "embedder_effnet_lite0"
Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def pictures(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    for name in PICTURES:
        shutil.copy2(samples / name, folder / name)
    return folder


@pytest.fixture(autouse=True)
def _hardly_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long engines take is not judged."""
    monkeypatch.setattr(timing, "_MIN_ROUNDS", 2)
    monkeypatch.setattr(timing, "_SECONDS", 0)


@pytest.fixture
def changed(default_engines: dict[str, EngineVersion], tmp_path: Path) -> Callable[[str, Change], Path]:
    """A copy of a default version's folder, as version 2 of the same model, with another graph."""

    def copy(model: str, change: Change) -> Path:
        original = default_engines[model].folder
        shutil.copytree(original.parent, tmp_path / model, ignore=shutil.ignore_patterns("1"))
        folder = tmp_path / model / "2"
        shutil.copytree(original, folder)
        graph = onnx.load(folder / "model.onnx")
        change(graph)
        onnx.save(graph, folder / "model.onnx")
        return folder

    return copy


def _swap_channels(model: onnx.ModelProto) -> None:
    """BGR for RGB: the mistake that still answers."""
    cast = next(node for node in model.graph.node if node.op_type == "Cast")
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0]), "reversed"))
    model.graph.node.insert(1, onnx.helper.make_node("Gather", [cast.output[0], "reversed"], ["bgr"], axis=3))
    consumer = next(node for node in model.graph.node if cast.output[0] in node.input and node.op_type != "Gather")
    consumer.input[0] = "bgr"


def _shake_weights(model: onnx.ModelProto) -> None:
    draw = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.ndim == 4:
            noise = draw.normal(0, 0.25 * weights.std(), weights.shape).astype(weights.dtype)
            tensor.CopyFrom(numpy_helper.from_array(weights + noise, tensor.name))


def _evaluated(candidate: Path, reference: EngineVersion, pictures: Path) -> Report:
    return evaluate(candidate, reference.folder, None, pictures, Reporter(quiet=True))


@pytest.mark.parametrize("model", ["detector", EMBEDDER])
def test_an_engine_agrees_with_itself(
    default_engines: dict[str, EngineVersion], changed: Callable[[str, Change], Path], pictures: Path, model: str
) -> None:
    folder = changed(model, lambda _: None)
    report = _evaluated(folder, default_engines[model], pictures)
    assert report.passed
    if isinstance(report.agreement, DetectorAgreement):
        assert (report.agreement.f1, report.agreement.max_score_shift) == (1, 0)
    else:
        assert report.agreement.min_cosine == pytest.approx(1, abs=1e-5)
        assert report.agreement.recall_loss == 0
    assert {(each.threads, each.batch) for each in report.timing} == {(1, 1), (1, 8), (0, 1), (0, 8)}
    assert 0 < report.memory.loaded_mib < 1000
    assert report_table(report).row_count >= 9
    golden = read_golden(folder)
    own = run(open_session(folder / "model.onnx"), {"images": golden.images})
    assert difference(own, golden) == ""


@pytest.mark.parametrize("change", [_swap_channels, _shake_weights])
@pytest.mark.parametrize("model", ["detector", EMBEDDER])
def test_a_wrong_engine_fails_and_says_by_how_much(
    default_engines: dict[str, EngineVersion],
    changed: Callable[[str, Change], Path],
    pictures: Path,
    model: str,
    change: Change,
) -> None:
    folder = changed(model, change)
    report = _evaluated(folder, default_engines[model], pictures)
    assert not report.passed
    assert report.parity()["passed"] is False
    expected = ("F1", "score shift") if isinstance(report.agreement, DetectorAgreement) else ("cosine",)
    assert any(word in failure for failure in report.failures for word in expected)
    golden = read_golden(folder)
    right = run(open_session(default_engines[model].folder / "model.onnx"), {"images": golden.images})
    assert difference(right, golden) != ""


def test_recall_is_asked_of_the_serving_versions_vectors(
    default_engines: dict[str, EngineVersion], changed: Callable[[str, Change], Path], pictures: Path
) -> None:
    """A serving version of other weights: queries of a sound candidate do not find their own there."""
    serving = changed(EMBEDDER, _shake_weights)
    sound = default_engines[EMBEDDER]
    report = evaluate(sound.folder, sound.folder, serving, pictures, Reporter(quiet=True))
    (sound.folder / GOLDEN_FILE).unlink()
    assert isinstance(report.agreement, EmbedderAgreement)
    assert report.agreement.candidate.at_1 < report.agreement.serving.at_1
    assert any("recall@1" in failure for failure in report.failures)


def test_too_few_pictures_say_nothing(default_engines: dict[str, EngineVersion], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(EngineError, match="holds 0 pictures that can be read; at least 4"):
        _evaluated(default_engines["detector"].folder, default_engines["detector"], tmp_path)


def test_golden_queries_that_are_broken_are_named(tmp_path: Path) -> None:
    (tmp_path / GOLDEN_FILE).write_bytes(b"PK\x03\x04")
    with pytest.raises(RepositoryError, match="golden.npz cannot be read"):
        read_golden(tmp_path)
