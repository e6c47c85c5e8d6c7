"""Networks whose answers are known, wrapped into engines: a detector of coloured cells, an embedder of mean colour."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from framelens_engines.build import Plan, build_engine
from framelens_engines.errors import RefusedModelError, RepositoryError
from framelens_engines.probe import open_session, run
from framelens_engines.progress import Reporter
from framelens_engines.store import EngineStore
from framelens_engines.tensors import BOXES, BUILD, EMBEDDING, IMAGES, LABELS, SCORES, Answer
from framelens_engines.user_onnx import DetectorOutput, detector_plan, embedder_plan
from framelens_triton.images.resize import Fit

from .conftest import Describe, Pictures, WriteModel

COLOURS = ("red", "green", "blue")
YOLO = DetectorOutput("yolo", COLOURS, "cxcywh", boxes_in_pixels=True)
SSD = DetectorOutput("ssd", COLOURS, "yxyx", boxes_in_pixels=False)
# The cells of `colour_picture`, 2 pixels of 32: blue at row 3 and column 5, red at row 0 and column 15.
BLUE_BOX = [10 / 32, 6 / 32, 12 / 32, 8 / 32]
RED_BOX = [30 / 32, 0, 1, 2 / 32]


def _answer(plan: Plan, store: EngineStore, pictures: NDArray[np.uint8]) -> Answer:
    version = build_engine(plan, store, Reporter(quiet=True))
    answer = run(open_session(version.folder / "model.onnx"), {IMAGES: pictures})
    assert (answer[BUILD] == version.record.build).all()
    return answer


def _expect_blue_then_red(answer: Answer, tolerance: float = 1e-6) -> None:
    assert answer[BOXES].shape == (1, 100, 4)
    assert answer[LABELS][0, :2].tolist() == [COLOURS.index("blue"), COLOURS.index("red")]
    assert np.allclose(answer[SCORES][0, :3], [1, 0.6, 0], atol=tolerance)
    assert np.allclose(answer[BOXES][0, :2], [BLUE_BOX, RED_BOX], atol=tolerance)


@pytest.mark.parametrize(
    "options", [{}, {"batch": 1}, {"opset": 13}, {"opset": 18}, {"opset": 20}, {"dtype": "float16"}], ids=str
)
def test_a_yolo_style_detector(
    store: EngineStore,
    yolo_onnx: WriteModel,
    unit_pixels: Describe,
    colour_picture: NDArray[np.uint8],
    options: dict[str, str | int],
) -> None:
    plan = detector_plan("detector_x", yolo_onnx(**options), unit_pixels(32, 32), YOLO, Fit.LETTERBOX)
    tolerance = 1e-3 if options.get("dtype") == "float16" else 1e-6
    _expect_blue_then_red(_answer(plan, store, colour_picture), tolerance)
    folder = store.staged.root / "detector_x"
    assert (folder / "labels.txt").read_text() == "red\ngreen\nblue\n"
    assert 'string_value: "letterbox"' in (folder / "config.pbtxt").read_text()
    assert "dims: [ 32, 32, 3 ]" in (folder / "config.pbtxt").read_text()


def test_a_detector_whose_input_is_not_square(store: EngineStore, tmp_path: Path, unit_pixels: Describe) -> None:
    """Boxes in pixels are divided by width and height, each by its own."""
    answer = np.zeros((1, 7, 120), np.float32)
    answer[0, :4], answer[0, 4:, 7] = np.array([[48], [32], [24], [16]]), [0.1, 0.2, 0.9]
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        one_box (float[n,3,64,96] pixels) => (float[n,7,120] out) {
            mean = ReduceMean<axes = [1, 2, 3], keepdims = 1>(pixels)
            line = Squeeze(mean, last)
            nothing = Mul(line, zero)
            out = Add(nothing, answer)
        }"""
    )
    constants = {"last": np.array([3], np.int64), "zero": np.zeros(1, np.float32), "answer": answer}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.save(model, tmp_path / "one_box.onnx")
    plan = detector_plan("detector_x", tmp_path / "one_box.onnx", unit_pixels(64, 96), YOLO, Fit.LETTERBOX)
    found = _answer(plan, store, np.zeros((2, 64, 96, 3), np.uint8))
    assert found[LABELS][:, 0].tolist() == [2, 2]
    assert np.allclose(found[BOXES][:, 0], [36 / 96, 24 / 64, 60 / 96, 40 / 64], atol=1e-6)


def test_an_ssd_style_detector_with_nhwc_input(
    store: EngineStore, ssd_onnx: WriteModel, unit_pixels: Describe, colour_picture: NDArray[np.uint8]
) -> None:
    picture = unit_pixels(32, 32, channels_first=False)
    plan = detector_plan("detector_x", ssd_onnx(), picture, SSD, Fit.STRETCH)
    _expect_blue_then_red(_answer(plan, store, colour_picture))
    named = dataclasses.replace(SSD, names=("boxes", "scores"))
    same = detector_plan("detector_y", ssd_onnx(), picture, named, Fit.STRETCH)
    _expect_blue_then_red(_answer(same, store, colour_picture))


def test_bgr_reaches_the_network_as_bgr(
    store: EngineStore, yolo_onnx: WriteModel, unit_pixels: Describe, colour_picture: NDArray[np.uint8]
) -> None:
    reversed_labels = dataclasses.replace(YOLO, labels=COLOURS[::-1])
    plan = detector_plan("detector_x", yolo_onnx(), unit_pixels(32, 32, bgr=True), reversed_labels, Fit.STRETCH)
    labels = _answer(plan, store, colour_picture)[LABELS]
    assert [COLOURS[::-1][label] for label in labels[0, :2]] == ["blue", "red"]


def test_background_and_activation(
    store: EngineStore, yolo_onnx: WriteModel, unit_pixels: Describe, colour_picture: NDArray[np.uint8]
) -> None:
    """Red as background leaves blue, whose logit is 1 and whose rivals' are 0."""
    for activation, score in (("sigmoid", 1 / (1 + np.exp(-1))), ("softmax", np.e / (np.e + 2))):
        output = DetectorOutput(
            "yolo", COLOURS[1:], "cxcywh", boxes_in_pixels=True, activation=activation, background=True
        )
        plan = detector_plan(f"detector_{activation}", yolo_onnx(), unit_pixels(32, 32), output, Fit.STRETCH)
        answer = _answer(plan, store, colour_picture)
        assert answer[LABELS][0, 0] == 1
        assert answer[SCORES][0, 0] == pytest.approx(score, abs=1e-6)


def test_boxes_of_a_yolo_in_0_to_1(
    store: EngineStore, yolo_onnx: WriteModel, unit_pixels: Describe, colour_picture: NDArray[np.uint8]
) -> None:
    output = dataclasses.replace(YOLO, boxes_in_pixels=False)
    plan = detector_plan("detector_x", yolo_onnx(unit=1 / 32), unit_pixels(32, 32), output, Fit.STRETCH)
    _expect_blue_then_red(_answer(plan, store, colour_picture))


@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_an_embedder(
    store: EngineStore, embedder_onnx: WriteModel, unit_pixels: Describe, picture: Pictures, dtype: str
) -> None:
    plan = embedder_plan("embedder_x", embedder_onnx(dtype=dtype), unit_pixels(16, 16), (), Fit.STRETCH)
    pictures = np.concatenate([picture(name, 16) for name in ("coffee.png", "chelsea.png")])
    mean = pictures.mean(axis=(1, 2))
    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    tolerance = 2e-3 if dtype == "float16" else 1e-6
    assert np.allclose(_answer(plan, store, pictures)[EMBEDDING], expected, atol=tolerance)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"labels": COLOURS[:2]}, r"expected 2 classes \(2 labels\), found 3; is the first class background"),
        ({"labels": (*COLOURS, "x", "y")}, r"expected 5 classes \(5 labels\), found 3$"),
        ({"background": True}, r"expected 4 classes \(3 labels and a background class\), found 3$"),
        ({"boxes_in_pixels": False}, "expected boxes in unit, found coordinates .*see --box-unit pixels"),
        ({"format": "ssd"}, r"expected 2 outputs, boxes \[N, anchors, 4\] and scores .*found 1 outputs: output0"),
        ({"names": ("nowhere",)}, r"has no output nowhere; it has output0 \[3, 7, 256\]"),
        ({"names": ("output0", "output0")}, "found 2 outputs"),
        (
            {"labels": tuple(map(str, range(252)))},
            r"expected 1 output \[N, 256, anchors\], found .*which is transposed",
        ),
    ],
)
def test_a_yolo_that_does_not_fit_is_refused(
    yolo_onnx: WriteModel, unit_pixels: Describe, change: dict[str, object], complaint: str
) -> None:
    with pytest.raises(RefusedModelError, match=complaint):
        detector_plan("x", yolo_onnx(), unit_pixels(32, 32), dataclasses.replace(YOLO, **change), Fit.STRETCH)


def test_boxes_in_0_to_1_are_not_pixels(yolo_onnx: WriteModel, unit_pixels: Describe) -> None:
    with pytest.raises(RefusedModelError, match="expected boxes in pixels, found .*see --box-unit unit"):
        detector_plan("x", yolo_onnx(unit=1 / 32), unit_pixels(32, 32), YOLO, Fit.STRETCH)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": "yolo"}, r"expected 1 output \[N, 7, anchors\], found 2 outputs"),
        ({"labels": COLOURS[:2]}, "expected 2 classes"),
        ({"names": ("scores", "boxes")}, r"expected 2 outputs, boxes .*found scores \[3, 256, 3\] and boxes"),
    ],
)
def test_an_ssd_that_does_not_fit_is_refused(
    ssd_onnx: WriteModel, unit_pixels: Describe, change: dict[str, object], complaint: str
) -> None:
    picture = unit_pixels(32, 32, channels_first=False)
    with pytest.raises(RefusedModelError, match=complaint):
        detector_plan("x", ssd_onnx(), picture, dataclasses.replace(SSD, **change), Fit.STRETCH)


def test_scores_that_are_no_probabilities_are_refused(yolo_onnx: WriteModel, unit_pixels: Describe) -> None:
    pixels = unit_pixels(32, 32)
    raw = dataclasses.replace(pixels, normalisation=dataclasses.replace(pixels.normalisation, std=(1.0, 1.0, 1.0)))
    with pytest.raises(RefusedModelError, match="expected scores in 0..1, found 0 to .*see --activation"):
        detector_plan("x", yolo_onnx(), raw, YOLO, Fit.STRETCH)


def test_a_map_is_no_embedding(yolo_onnx: WriteModel, unit_pixels: Describe) -> None:
    with pytest.raises(RefusedModelError, match=r"expected \[N, D\] or \[N, D, 1, 1\].*found \['N', 7, 256\]"):
        embedder_plan("x", yolo_onnx(), unit_pixels(32, 32), (), Fit.STRETCH)


def test_a_name_that_is_taken_by_another_shape_is_refused(
    store: EngineStore,
    yolo_onnx: WriteModel,
    embedder_onnx: WriteModel,
    unit_pixels: Describe,
    quiet: Reporter,
) -> None:
    build_engine(embedder_plan("taken", embedder_onnx(), unit_pixels(16, 16), (), Fit.STRETCH), store, quiet)
    with pytest.raises(RepositoryError, match=r"taken exists in .* with another shape; choose another name"):
        build_engine(detector_plan("taken", yolo_onnx(), unit_pixels(32, 32), YOLO, Fit.STRETCH), store, quiet)
    assert [version.version for version in store.versions("taken")] == [1]


def test_another_normalisation_is_another_space(
    store: EngineStore, embedder_onnx: WriteModel, unit_pixels: Describe, quiet: Reporter
) -> None:
    path = embedder_onnx()
    build_engine(embedder_plan("embedder_x", path, unit_pixels(16, 16), (), Fit.STRETCH), store, quiet)
    with pytest.raises(RepositoryError, match="another normalisation make another space"):
        build_engine(embedder_plan("embedder_x", path, unit_pixels(16, 16, bgr=True), (), Fit.STRETCH), store, quiet)
