"""A first look at an engine before anyone else sees it: does it load, and are its answers sane?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx.helper import tensor_dtype_to_np_dtype

from framelens_engines.contract import detector_ports, embedder_ports
from framelens_engines.errors import ProbeError
from framelens_engines.model_config import DetectorShape, Shape
from framelens_engines.probe_pictures import probe_pictures
from framelens_engines.tensors import BOXES, BUILD, EMBEDDING, IMAGES, LABELS, SCORES, Answer
from framelens_triton.onnx_session import onnx_session

_BATCH = 3
# A batch may be computed in another order of additions than a single picture; more than this is a different answer.
_BATCH_TOLERANCE = 2e-3
_NORM_TOLERANCE = 1e-3


def open_session(model: Path | bytes) -> Any:  # noqa: ANN401
    """An ONNX Runtime session on the CPU; raises ProbeError if the model does not load."""
    try:
        return onnx_session(model, threads=0)
    except Exception as error:  # ONNX Runtime's errors share no base but this
        raise ProbeError(f"the engine does not load in ONNX Runtime {onnxruntime.__version__}: {error}") from error


def probe(engine: Path, shape: Shape, build: int) -> None:
    """Raises ProbeError unless the engine gives sane answers, the same for a batch as for each picture alone."""
    session = open_session(engine)
    pictures = probe_pictures(shape.height, shape.width)
    together = run(session, {IMAGES: pictures})
    alone = [run(session, {IMAGES: picture[None]}) for picture in pictures]
    check = _detector_check(shape) if isinstance(shape, DetectorShape) else _check_embedding
    for answer in (together, *alone):
        _check_ports(answer, shape)
        _expect(bool((answer[BUILD] == build).all()), f"output build is {answer[BUILD].ravel()}; expected {build}")
        for name in answer.keys() - {BUILD}:
            _expect(bool(np.isfinite(answer[name]).all()), f"output {name} holds NaN or infinity on the probe pictures")
        check(answer)
    main = SCORES if isinstance(shape, DetectorShape) else EMBEDDING
    apart = float(np.abs(together[main] - np.concatenate([answer[main] for answer in alone])).max())
    _expect(
        apart <= _BATCH_TOLERANCE,
        f"output {main} of a batch of {_BATCH} differs by {apart:.3g} from that of each picture alone; expected at most"
        f" {_BATCH_TOLERANCE}. Was the model exported for a fixed batch?",
    )


def run(session: Any, inputs: Answer) -> Answer:  # noqa: ANN401
    """All outputs by name; raises ProbeError if the run fails."""
    names = [output.name for output in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, inputs), strict=True))
    except Exception as error:  # ONNX Runtime's errors share no base but this
        shapes = {name: value.shape for name, value in inputs.items()}
        raise ProbeError(f"the engine fails on inputs {shapes}: {error}") from error


def _check_ports(answer: Answer, shape: Shape) -> None:
    ports = detector_ports() if isinstance(shape, DetectorShape) else embedder_ports(shape.dimension)
    expected = {port.name: (tensor_dtype_to_np_dtype(port.dtype).name, port.shape[1:]) for port in ports}
    found = {name: (value.dtype.name, value.shape[1:]) for name, value in answer.items()}
    _expect(found == expected, f"the engine has outputs {found}; expected {expected}")


def _check_embedding(answer: Answer) -> None:
    length = np.linalg.norm(answer[EMBEDDING], axis=1)
    _expect(
        bool((np.abs(length - 1) < _NORM_TOLERANCE).all()),
        f"embeddings have length {length}; expected 1 of each picture",
    )


def _detector_check(shape: DetectorShape) -> Callable[[Answer], None]:
    def check(answer: Answer) -> None:
        scores, labels, boxes = answer[SCORES], answer[LABELS], answer[BOXES]
        spread = f"{scores.min():.4g} to {scores.max():.4g}"
        _expect(bool((np.diff(scores, axis=1) <= 0).all()), "scores are not in descending order")
        _expect(scores.min() >= 0 and scores.max() <= 1, f"scores go from {spread}; expected probabilities in 0..1")
        _expect(
            labels.min() >= 0 and labels.max() < len(shape.labels),
            f"labels go from {labels.min()} to {labels.max()}; there are {len(shape.labels)}",
        )
        _expect(
            bool((boxes[..., :2] <= boxes[..., 2:]).all()), "some boxes end before they begin: is their order right?"
        )

    return check


def _expect(condition: bool, complaint: str) -> None:
    if not condition:
        raise ProbeError(complaint)
