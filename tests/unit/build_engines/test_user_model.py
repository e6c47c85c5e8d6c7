from pathlib import Path

import numpy as np
import onnx
import pytest

from framelens_engines.errors import RefusedModelError
from framelens_engines.user_model import read_user_model, select_outputs

from .conftest import Describe, WriteModel


def test_a_fixed_batch_of_one_is_made_dynamic(yolo_onnx: WriteModel, unit_pixels: Describe) -> None:
    free, fixed = (read_user_model(yolo_onnx(batch=batch), unit_pixels(32, 32)) for batch in ("batch", 1))
    assert fixed.outputs["output0"].shape == (3, 7, 256)
    assert np.array_equal(free.outputs["output0"], fixed.outputs["output0"])


def test_a_batch_of_one_that_cannot_be_freed_is_refused(yolo_onnx: WriteModel, unit_pixels: Describe) -> None:
    with pytest.raises(RefusedModelError, match="expected a dynamic batch .*found a fixed one"):
        read_user_model(yolo_onnx(batch=1, boxes="grid"), unit_pixels(32, 32))


def test_another_fixed_batch_is_refused(embedder_onnx: WriteModel, unit_pixels: Describe) -> None:
    with pytest.raises(RefusedModelError, match=r"found a fixed one: input x is \[4, 3, 16, 16\]"):
        read_user_model(embedder_onnx(batch=4), unit_pixels(16, 16))


@pytest.mark.parametrize(
    ("size", "channels_first", "complaint"),
    [
        ((32, 32), True, r"expected \[batch, 3, 32, 32\], found \['dynamic', 3, 16, 16\]; see --input-size"),
        ((16, 16), False, r"expected \[batch, 16, 16, 3\], found \['dynamic', 3, 16, 16\]"),
    ],
)
def test_another_input_size_or_layout_is_refused(
    embedder_onnx: WriteModel, unit_pixels: Describe, size: tuple[int, int], channels_first: bool, complaint: str
) -> None:
    with pytest.raises(RefusedModelError, match=complaint):
        read_user_model(embedder_onnx(), unit_pixels(*size, channels_first=channels_first))


@pytest.mark.parametrize(
    ("signature", "complaint"),
    [
        ("float[b,3,16] x", r"expected \[batch, 3, 16, 16\], found \['dynamic', 3, 16\]"),
        ("int32[b,3,16,16] x", "expected float32 or float16, found int32"),
        ("float[b,3,16,16] x, float[b,1] scale", "expected 1 input, found 2: x, scale"),
    ],
)
def test_other_inputs_are_refused(tmp_path: Path, unit_pixels: Describe, signature: str, complaint: str) -> None:
    dtype = signature.partition("[")[0]
    text = f'<ir_version: 8, opset_import: ["" : 17]> g ({signature}) => ({dtype}[b,n] y) {{ y = Flatten(x) }}'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    with pytest.raises(RefusedModelError, match=complaint):
        read_user_model(tmp_path / "m.onnx", unit_pixels(16, 16))


@pytest.mark.parametrize("content", [b"", b"no onnx here", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_another_file_is_refused(tmp_path: Path, unit_pixels: Describe, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(RefusedModelError, match=r"m\.onnx is not an ONNX file"):
        read_user_model(tmp_path / "m.onnx", unit_pixels(16, 16))


def test_an_opset_that_is_too_old_is_refused(embedder_onnx: WriteModel, unit_pixels: Describe) -> None:
    with pytest.raises(RefusedModelError, match=r"opset 11; expected 13 to \d+: export it again"):
        read_user_model(embedder_onnx(opset=11), unit_pixels(16, 16))


def test_an_operator_that_does_not_exist_is_refused(embedder_onnx: WriteModel, unit_pixels: Describe) -> None:
    path = embedder_onnx()
    model = onnx.load(path)
    model.graph.node[0].op_type = "Recognise"
    onnx.save(model, path)
    with pytest.raises(RefusedModelError, match=r"not valid ONNX.*Recognise"):
        read_user_model(path, unit_pixels(16, 16))
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.save(model, path)
    with pytest.raises(RefusedModelError, match="does not load in ONNX Runtime"):
        read_user_model(path, unit_pixels(16, 16))


def test_weights_in_another_file_are_refused(yolo_onnx: WriteModel, unit_pixels: Describe, tmp_path: Path) -> None:
    model = onnx.load(yolo_onnx())
    path = tmp_path / "split.onnx"
    onnx.save(model, path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    with pytest.raises(RefusedModelError, match="keeps its weights in other files; expected one file"):
        read_user_model(path, unit_pixels(32, 32))


def test_a_network_that_answers_nan_is_refused(tmp_path: Path, unit_pixels: Describe) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[b,3,16,16] x) => (float[b,n] y)
        <float[1] minus = {-1}> { flat = Flatten(x) less = Add(flat, minus) y = Log(less) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    with pytest.raises(RefusedModelError, match="output y holds NaN or infinity on the probe pictures"):
        read_user_model(tmp_path / "m.onnx", unit_pixels(16, 16))


def test_dynamic_sizes_become_the_described_ones(tmp_path: Path, unit_pixels: Describe) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[b,3,h,w] x) => (float[b,3,1,1] y)
        { y = GlobalAveragePool(x) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    user = read_user_model(tmp_path / "m.onnx", unit_pixels(20, 24))
    assert [size.dim_value for size in user.model.graph.input[0].type.tensor_type.shape.dim][1:] == [3, 20, 24]


def test_outputs_are_chosen_by_name_or_number(ssd_onnx: WriteModel, unit_pixels: Describe) -> None:
    user = read_user_model(ssd_onnx(), unit_pixels(32, 32, channels_first=False))
    assert select_outputs(user, ["boxes"], 1, "one") == ["boxes"]
    assert select_outputs(user, [], 2, "two") == ["scores", "boxes"]
    with pytest.raises(RefusedModelError, match=r"has no output box; it has scores \[3, 256, 3\], boxes \[3, 256, 4\]"):
        select_outputs(user, ["box"], 1, "one")
    with pytest.raises(RefusedModelError, match="expected one, found 2 outputs: .*choose with --outputs"):
        select_outputs(user, [], 1, "one")
