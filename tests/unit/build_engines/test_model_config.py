import dataclasses
import re
from pathlib import Path

import pytest

from framelens_engines.coco import LABELS
from framelens_engines.errors import RepositoryError
from framelens_engines.model_config import (
    DetectorShape,
    EmbedderShape,
    Shape,
    differences,
    expect_backend,
    render,
)
from framelens_engines.repository import CONFIG, LABELS_FILE
from framelens_triton.images.resize import Fit

from .conftest import REPO

DETECTOR = DetectorShape(300, 300, LABELS, Fit.STRETCH)
EMBEDDER = EmbedderShape(224, 224, 1280, Fit.STRETCH)


@pytest.mark.parametrize(("name", "shape"), [("detector", DETECTOR), ("embedder_effnet_lite0", EMBEDDER)])
def test_the_tracked_models_are_what_would_be_written(name: str, shape: Shape) -> None:
    folder = REPO / "model_repository" / name
    assert (folder / CONFIG).read_text() == render(name, shape)
    assert differences(folder, shape) == []


def test_settings_of_tritons_own_may_differ(tmp_path: Path) -> None:
    text = (
        render(tmp_path.name, EMBEDDER)
        .replace("count: 1", "count: 4")
        .replace("max_batch_size: 32", "max_batch_size: 8")
    )
    (tmp_path / CONFIG).write_text(text + "version_policy: { latest { num_versions: 2 } }\n")
    assert differences(tmp_path, EMBEDDER) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"height": 320}, r"input images: is TYPE_UINT8\[300, 300, 3\], would be TYPE_UINT8\[320, 300, 3\]"),
        ({"fit": "letterbox"}, "fit: is stretch, would be letterbox"),
        ({"labels": ("human", *LABELS[1:])}, "line 1 is 'person' and would be 'human'"),
        ({"labels": LABELS[:80]}, "has 90 labels, there would be 80"),
    ],
)
def test_what_callers_see_may_not_differ(tmp_path: Path, change: dict[str, object], difference: str) -> None:
    (tmp_path / CONFIG).write_text(render(tmp_path.name, DETECTOR))
    (tmp_path / LABELS_FILE).write_text("\n".join(LABELS) + "\n")
    (found,) = differences(tmp_path, dataclasses.replace(DETECTOR, **change))
    assert re.search(difference, found)


def test_a_detector_is_no_embedder(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(render(tmp_path.name, DETECTOR))
    assert "output embedding: is absent, would be TYPE_FP32[1280]" in differences(tmp_path, EMBEDDER)


@pytest.mark.parametrize("text", [None, "name: [[", 'nonsense: "x"'])
def test_an_unreadable_configuration_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / CONFIG).write_text(text)
    with pytest.raises(RepositoryError, match=r"config\.pbtxt cannot be read"):
        differences(tmp_path, DETECTOR)


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A model whose ONNX engines are served by config.pbtxt, and plans by configs/tensorrt.pbtxt."""
    text = render(tmp_path.name, DETECTOR)
    (tmp_path / CONFIG).write_text(text)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tensorrt.pbtxt").write_text(text.replace('"onnxruntime"', '"tensorrt"'))
    return tmp_path


def test_the_configuration_that_triton_takes_says_which_engines_run(both: Path) -> None:
    expect_backend(both, "onnxruntime")
    expect_backend(both, "tensorrt", "tensorrt")
    # A model that has none of that name is served by config.pbtxt.
    expect_backend(both, "onnxruntime", "gpu")
    with pytest.raises(
        RepositoryError, match=r"backend tensorrt \(configs/tensorrt\.pbtxt\), which does not run engin"
    ):
        expect_backend(both, "onnxruntime", "tensorrt")


def test_a_configuration_that_would_do_is_named(both: Path) -> None:
    with pytest.raises(RepositoryError, match=r"\(config\.pbtxt\).*started with it, say --model-config-name tensorrt"):
        expect_backend(both, "tensorrt")
    (both / "configs" / "tensorrt.pbtxt").unlink()
    with pytest.raises(RepositoryError, match="does not run engines for tensorrt$"):
        expect_backend(both, "tensorrt")


def test_a_model_that_is_not_there_yet_takes_any_engine(tmp_path: Path) -> None:
    expect_backend(tmp_path / "new", "tensorrt")
