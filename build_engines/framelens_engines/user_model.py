"""A user's ONNX file, read and looked at: one picture input of the described form, outputs seen on probe pictures."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, external_data_helper

from framelens_engines.contract import Normalisation
from framelens_engines.dynamic_batch import free_batch
from framelens_engines.errors import ProbeError, RefusedModelError
from framelens_engines.probe import open_session, run
from framelens_engines.probe_pictures import probe_pictures
from framelens_engines.tensors import Answer

# The nodes around the network are written in its own opset; before 13, Split and others took other arguments.
_OLDEST_OPSET = 13
_PICTURE_TYPES: dict[int, type[np.floating[Any]]] = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16}
_TOLERANCE = 2e-3  # as in probe: a batch may add up in another order


@dataclass(frozen=True)
class PictureInput:
    """What the user says of the network's input."""

    height: int
    width: int
    normalisation: Normalisation
    channels_first: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, self.height, self.width) if self.channels_first else (self.height, self.width, 3)

    def prepare(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Normalises RGB pictures (N, H, W, 3) in numpy, apart from the graph that will do the same."""
        channels = pictures[..., ::-1] if self.normalisation.bgr else pictures
        values = (channels - np.array(self.normalisation.mean)) / np.array(self.normalisation.std)
        return np.asarray(values.transpose(0, 3, 1, 2) if self.channels_first else values, dtype=np.float32)


@dataclass(frozen=True)
class UserModel:
    """A network with a dynamic batch; `outputs` are its answers to the three probe pictures."""

    model: onnx.ModelProto
    file: str
    sha256: str
    opset: int
    input_name: str
    input_type: int
    outputs: Answer


def read_user_model(path: Path, picture: PictureInput) -> UserModel:
    """Raises RefusedModelError, with what was expected and what was found, if the file is not such a network."""
    content = path.read_bytes()
    model = _parse(path, content)
    opset = _opset(path, model)
    port = _picture_port(path, model, picture)
    before = _first_answer(path, model, port, picture)
    free_batch(model)
    outputs = _answers(path, model, port, picture)
    if any(_apart(outputs[name][:1], value) for name, value in before.items()):
        raise _fixed_batch(path, "with its batch made dynamic it answers something else")
    return UserModel(
        model,
        path.name,
        hashlib.sha256(content).hexdigest(),
        opset,
        port.name,
        port.type.tensor_type.elem_type,
        outputs,
    )


def select_outputs(user: UserModel, names: Sequence[str], count: int, what: str) -> list[str]:
    """The outputs that were named, or all; raises RefusedModelError unless there are `count`."""
    found = ", ".join(f"{name} {list(value.shape)}" for name, value in user.outputs.items())
    if unknown := [name for name in names if name not in user.outputs]:
        raise RefusedModelError(f"{user.file} has no output {unknown[0]}; it has {found}")
    chosen = list(names or user.outputs)
    if len(chosen) != count:
        raise RefusedModelError(
            f"{user.file}: expected {what}, found {len(chosen)} outputs: {found}; choose with --outputs"
        )
    return chosen


def _parse(path: Path, content: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise RefusedModelError(f"{path} is not an ONNX file: {error}") from error
    if not model.graph.node:
        raise RefusedModelError(f"{path} is not an ONNX file, or it holds no graph")
    if any(external_data_helper.uses_external_data(tensor) for tensor in model.graph.initializer):
        raise RefusedModelError(
            f"{path} keeps its weights in other files; expected one file: onnx.save(onnx.load(FILE), 'one_file.onnx')"
        )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise RefusedModelError(f"{path} is not valid ONNX: {error}") from error
    return model


def _opset(path: Path, model: onnx.ModelProto) -> int:
    newest = onnx.defs.onnx_opset_version()
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if not _OLDEST_OPSET <= opset <= newest:
        raise RefusedModelError(
            f"{path} is written in opset {opset}; expected {_OLDEST_OPSET} to {newest}: export it again, or try"
            " onnx.version_converter.convert_version(onnx.load(FILE), 17)"
        )
    return opset


def _picture_port(path: Path, model: onnx.ModelProto, picture: PictureInput) -> onnx.ValueInfoProto:
    weights = {tensor.name for tensor in model.graph.initializer}
    ports = [port for port in model.graph.input if port.name not in weights]
    if len(ports) != 1:
        raise RefusedModelError(
            f"{path}: expected 1 input, found {len(ports)}: {', '.join(port.name for port in ports)}"
        )
    tensor = ports[0].type.tensor_type
    where = f"{path}: input {ports[0].name}"
    if tensor.elem_type not in _PICTURE_TYPES:
        found = TensorProto.DataType.Name(tensor.elem_type).lower()
        raise RefusedModelError(f"{where}: expected float32 or float16, found {found}")
    sizes = [size.dim_value or None for size in tensor.shape.dim]
    shown = ["dynamic" if size is None else size for size in sizes]
    expected = f"[batch, {', '.join(map(str, picture.shape))}]"
    if len(sizes) != 4 or any(size not in (None, want) for size, want in zip(sizes[1:], picture.shape, strict=True)):
        raise RefusedModelError(f"{where}: expected {expected}, found {shown}; see --input-size and --layout")
    if sizes[0] not in (None, 1):
        raise _fixed_batch(path, f"input {ports[0].name} is {shown}")
    for dimension, size in zip(list(tensor.shape.dim)[1:], picture.shape, strict=True):
        dimension.dim_value = size
    port: onnx.ValueInfoProto = ports[0]
    return port


def _first_answer(path: Path, model: onnx.ModelProto, port: onnx.ValueInfoProto, picture: PictureInput) -> Answer:
    session = _open(path, model)
    try:
        return run(session, _inputs(port, picture, slice(0, 1)))
    except ProbeError as error:
        raise RefusedModelError(f"{path} fails on one probe picture: {error}") from error


def _answers(path: Path, model: onnx.ModelProto, port: onnx.ValueInfoProto, picture: PictureInput) -> Answer:
    """To the three probe pictures together, which must be what each gets alone."""
    session = _open(path, model)
    try:
        together = run(session, _inputs(port, picture, slice(0, 3)))
        alone = [run(session, _inputs(port, picture, slice(index, index + 1))) for index in range(3)]
    except ProbeError as error:
        raise _fixed_batch(path, str(error)) from error
    for name, value in together.items():
        if not np.isfinite(value).all():
            raise RefusedModelError(
                f"{path}: output {name} holds NaN or infinity on the probe pictures; expected finite numbers. Do --mean"
                " and --std fit the network?"
            )
        if value.ndim == 0 or _apart(value, np.concatenate([answer[name] for answer in alone])):
            raise _fixed_batch(path, f"output {name} of a batch of 3 is not that of each picture alone")
    return together


def _inputs(port: onnx.ValueInfoProto, picture: PictureInput, which: slice) -> Answer:
    values = picture.prepare(probe_pictures(picture.height, picture.width)[which])
    return {port.name: values.astype(_PICTURE_TYPES[port.type.tensor_type.elem_type])}


def _open(path: Path, model: onnx.ModelProto) -> Any:  # noqa: ANN401
    try:
        return open_session(model.SerializeToString())
    except ProbeError as error:
        raise RefusedModelError(f"{path}: {error}") from error


def _apart(left: NDArray[Any], right: NDArray[Any]) -> bool:
    if left.shape != right.shape:
        return True
    return not np.allclose(left.astype(np.float64), right.astype(np.float64), rtol=_TOLERANCE, atol=_TOLERANCE)


def _fixed_batch(path: Path, found: str) -> RefusedModelError:
    return RefusedModelError(
        f"{path}: expected a dynamic batch (or a batch of 1 that can be made dynamic), found a fixed one: {found};"
        " export it with a dynamic first dimension"
    )
