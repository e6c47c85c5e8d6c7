from pathlib import Path

import numpy as np
import onnx
import pytest

from framelens_engines.errors import ProbeError
from framelens_engines.model_config import DetectorShape, EmbedderShape, Shape
from framelens_engines.probe import open_session, probe
from framelens_engines.probe_pictures import probe_pictures
from framelens_triton.images.resize import Fit

BUILD = 7
_EMBEDDER = """
<ir_version: 8, opset_import: ["" : 17]>
engine (uint8[batch,8,8,3] images) => (float[batch,3] embedding, int32[batch,1] build)
<float two = {{2.0}}, int32[1,1] number = {{{build}}},
 int64[1] first = {{0}}, int64[1] one = {{1}}>
{{
    pixels = Cast<to = 1>(images)
    mean = ReduceMean<axes = [1, 2], keepdims = 0>(pixels)
    length = ReduceL2<axes = [1], keepdims = 1>(mean)
    unit = Div(mean, length)
    embedding = {embedding}
    shape = Shape(images)
    batch = Gather(shape, first)
    each = Concat<axis = 0>(batch, one)
    build = Expand(number, each)
}}
"""
_DETECTOR = """
<ir_version: 8, opset_import: ["" : 17]>
engine (uint8[batch,8,8,3] images)
    => (float[batch,100,4] boxes, float[batch,100] scores, int32[batch,100] labels, int32[batch,1] build)
{
    shape = Shape(images)
    batch = Gather(shape, first)
    for_boxes = Concat<axis = 0>(batch, one)
    per_picture = Concat<axis = 0>(batch, one, one)
    boxes = Tile(one_boxes, per_picture)
    scores = Tile(one_scores, for_boxes)
    labels = Tile(one_labels, for_boxes)
    build = Tile(number, for_boxes)
}
"""
DETECTOR = DetectorShape(8, 8, ("a", "b"), Fit.STRETCH)
EMBEDDER = EmbedderShape(8, 8, 3, Fit.STRETCH)


def _embedder(tmp_path: Path, embedding: str = "Identity(unit)", build: int = BUILD) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(_EMBEDDER.format(embedding=embedding, build=build)), path)
    return path


def _detector(tmp_path: Path, **changes: object) -> Path:
    values = {
        "boxes": np.broadcast_to(np.array([0.1, 0.2, 0.3, 0.4]), (1, 100, 4)),
        "scores": np.linspace(0.9, 0.1, 100)[None],
        "labels": np.ones((1, 100)),
    } | changes
    model = onnx.parser.parse_model(_DETECTOR)
    constants = {
        "first": np.array([0]),
        "one": np.array([1]),
        "number": np.array([[BUILD]], dtype=np.int32),
        "one_boxes": np.asarray(values["boxes"], dtype=np.float32),
        "one_scores": np.asarray(values["scores"], dtype=np.float32),
        "one_labels": np.asarray(values["labels"], dtype=np.int32),
    }
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return path


def test_sane_engines_pass(tmp_path: Path) -> None:
    probe(_embedder(tmp_path), EMBEDDER, BUILD)
    probe(_detector(tmp_path), DETECTOR, BUILD)


@pytest.mark.parametrize(
    ("embedding", "complaint"),
    [
        ("Mul(unit, two)", "embeddings have length .*expected 1"),
        ("Log(tiny_minus)", "does not load"),
        ("Div(unit, nothing)", "embedding holds NaN or infinity"),
    ],
)
def test_an_insane_embedder_is_caught(tmp_path: Path, embedding: str, complaint: str) -> None:
    path = _embedder(tmp_path, "Identity(unit)")
    model = onnx.load(path)
    node = next(node for node in model.graph.node if node.output[0] == "embedding")
    operator, _, arguments = embedding.removesuffix(")").partition("(")
    node.op_type = operator
    node.input[:] = [name.strip() for name in arguments.split(",")]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((), np.float32), "nothing"))
    onnx.save(model, path)
    with pytest.raises(ProbeError, match=complaint):
        probe(path, EMBEDDER, BUILD)


def test_the_wrong_build_is_caught(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"output build is \[8 8 8\]; expected 7"):
        probe(_embedder(tmp_path, build=8), EMBEDDER, BUILD)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"scores": np.linspace(0.1, 0.9, 100)[None]}, "not in descending order"),
        ({"scores": np.linspace(3, -1, 100)[None]}, "go from -1 to 3"),
        ({"labels": np.full((1, 100), 2)}, "labels go from 2 to 2; there are 2"),
        ({"boxes": np.broadcast_to(np.array([0.5, 0.2, 0.3, 0.4]), (1, 100, 4))}, "end before they begin"),
        ({"boxes": np.full((1, 100, 4), np.nan)}, "boxes holds NaN"),
    ],
)
def test_an_insane_detector_is_caught(tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ProbeError, match=complaint):
        probe(_detector(tmp_path, **changes), DETECTOR, BUILD)


@pytest.mark.parametrize("shape", [EmbedderShape(9, 8, 3, Fit.STRETCH), DETECTOR])
def test_an_engine_of_another_shape_is_caught(tmp_path: Path, shape: Shape) -> None:
    with pytest.raises(ProbeError, match=r"fails on inputs|has outputs"):
        probe(_embedder(tmp_path), shape, BUILD)


def test_what_is_no_model_does_not_load() -> None:
    with pytest.raises(ProbeError, match="does not load in ONNX Runtime"):
        open_session(b"nonsense")


def test_the_probe_pictures_are_always_the_same_and_differ_from_each_other() -> None:
    first, again = probe_pictures(30, 50), probe_pictures(30, 50)
    assert first.shape == (3, 30, 50, 3)
    assert np.array_equal(first, again)
    assert len({picture.tobytes() for picture in first}) == 3
