"""A user's own ONNX through the command: what fits is served with right boxes, what does not is refused with words."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from framelens_engines.cli import cli

HEIGHT, WIDTH, ANCHORS = 64, 96, 120
LABELS = ("cup", "plate", "mug")


def network(outputs: dict[str, np.ndarray], opset: int = 17) -> onnx.ModelProto:
    """A network with an NCHW input whose outputs are constants plus nothing times the picture, batch free."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("ReduceMean", ["mean"], ["one"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["one", "zero"], ["nothing4"]),
        helper.make_node("Squeeze", ["nothing4", "last"], ["nothing3"]),
    ]
    initialisers = [
        numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        numpy_helper.from_array(np.array([3], np.int64), "last"),
        numpy_helper.from_array(np.array([2], np.int64), "third"),
    ]
    infos = []
    for name, value in outputs.items():
        initialisers.append(numpy_helper.from_array(value.astype(np.float32), f"{name}_value"))
        nothing = "nothing3"
        if value.ndim == 2:
            nodes.append(helper.make_node("Squeeze", ["nothing3", "third"], ["nothing2"]))
            nothing = "nothing2"
        nodes.append(helper.make_node("Add", [f"{name}_value", nothing], [name]))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *value.shape[1:]]))
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, HEIGHT, WIDTH])
    graph = helper.make_graph(nodes, "g", [pixels], infos, initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run_import(folder: Path, kind: str, model: onnx.ModelProto | bytes, *options: str) -> Result:
    file = folder / "model.onnx"
    file.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    labels = folder / "labels.txt"
    labels.write_text("\n".join(LABELS) + "\n")
    arguments = ["import", kind, "--repository", str(folder / "repository"), "--staging", str(folder / "staging")]
    arguments += ["--onnx", str(file), "--name", f"{kind}_own", "--input-size", f"{HEIGHT}x{WIDTH}", *options]
    if kind == "detector":
        arguments += ["--labels", str(labels)]
    (folder / "repository").mkdir(exist_ok=True)
    return CliRunner().invoke(cli, arguments)


def answer(folder: Path, kind: str) -> dict[str, np.ndarray]:
    """What the imported engine says of two pictures."""
    version = folder / "repository" / f"{kind}_own" / "1"
    session = ort.InferenceSession(version / "model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    pictures = np.random.default_rng(2).integers(0, 256, (2, HEIGHT, WIDTH, 3), np.uint8)
    found = dict(zip(names, session.run(names, {"images": pictures}), strict=True))
    record = json.loads((version / "engine.json").read_text())
    assert found["build"].tolist() == [[record["build"]]] * 2
    return found


def scores_with_one_best(shape: tuple[int, ...]) -> np.ndarray:
    scores = np.random.default_rng(3).uniform(0, 0.1, shape)
    scores[0, 7, 2] = 0.9
    return scores


def test_a_yolo_style_detector(tmp_path: Path) -> None:
    boxes = np.tile(np.array([48.0, 32.0, 24.0, 16.0]), (1, ANCHORS, 1))
    output = np.concatenate([boxes, scores_with_one_best((1, ANCHORS, len(LABELS)))], axis=2).transpose(0, 2, 1)
    done = run_import(tmp_path, "detector", network({"out": output}), "--format", "yolo", "--fit", "letterbox")
    assert done.exit_code == 0, done.output
    found = answer(tmp_path, "detector")
    assert found["boxes"].shape == (2, 100, 4)
    assert found["labels"][:, 0].tolist() == [2, 2]
    np.testing.assert_allclose(found["scores"][:, 0], 0.9, atol=1e-5)
    np.testing.assert_allclose(found["boxes"][0, 0], [36 / 96, 24 / 64, 60 / 96, 40 / 64], atol=1e-5)
    config = (tmp_path / "repository" / "detector_own" / "config.pbtxt").read_text()
    assert "letterbox" in config


def test_an_ssd_style_detector(tmp_path: Path) -> None:
    boxes = np.tile(np.array([0.1, 0.2, 0.5, 0.8]), (1, ANCHORS, 1))
    model = network({"boxes_out": boxes, "scores_out": scores_with_one_best((1, ANCHORS, len(LABELS)))})
    done = run_import(
        tmp_path, "detector", model, "--format", "ssd", "--box-order", "yxyx", "--outputs", "boxes_out,scores_out"
    )
    assert done.exit_code == 0, done.output
    found = answer(tmp_path, "detector")
    assert found["labels"][0, 0] == 2
    np.testing.assert_allclose(found["boxes"][0, 0], [0.2, 0.1, 0.8, 0.5], atol=1e-5)


def test_an_embedder_gets_its_norm(tmp_path: Path) -> None:
    model = network({"features": np.array([[3.0, 4.0, 0.0, 0.0]])})
    done = run_import(tmp_path, "embedder", model, "--mean", "127", "--std", "128")
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(answer(tmp_path, "embedder")["embedding"], [[0.6, 0.8, 0, 0]] * 2, atol=1e-6)


YOLO = np.zeros((1, 4 + len(LABELS), ANCHORS))


@pytest.mark.parametrize(
    ("kind", "model", "options", "words"),
    [
        ("detector", b"no ONNX at all", ("--format", "yolo"), "onnx"),
        ("detector", network({"out": np.zeros((1, 9, ANCHORS))}), ("--format", "yolo"), "3"),
        ("detector", network({"out": YOLO}), ("--format", "ssd"), "output"),
        ("detector", network({"out": YOLO * np.nan}), ("--format", "yolo"), "nan"),
        ("detector", network({"out": YOLO}), ("--format", "yolo", "--layout", "nhwc"), "3"),
        ("embedder", network({"out": YOLO}), (), "expected"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    tmp_path: Path, kind: str, model: onnx.ModelProto | bytes, options: tuple[str, ...], words: str
) -> None:
    done = run_import(tmp_path, kind, model, *options)
    assert done.exit_code != 0
    assert words in str(done.exception).lower()
    assert list((tmp_path / "repository").iterdir()) == []
