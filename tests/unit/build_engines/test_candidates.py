import numpy as np
import pytest

from framelens_engines import candidates
from framelens_engines.onnx_graph import FLOAT, INT32, GraphBuilder, Port
from framelens_engines.probe import open_session, run
from framelens_engines.tensors import BOXES, LABELS, SCORES


@pytest.mark.parametrize(
    ("order", "size", "box"),
    [
        ("xyxy", None, [0.1, 0.2, 0.5, 0.8]),
        ("yxyx", None, [0.2, 0.1, 0.8, 0.5]),
        ("cxcywh", None, [0.3, 0.5, 0.4, 0.6]),
        ("cycxhw", None, [0.5, 0.3, 0.6, 0.4]),
        ("xyxy", (100, 200), [20, 20, 100, 80]),
        ("cxcywh", (100, 200), [60, 50, 80, 60]),
    ],
)
def test_every_order_of_numbers_becomes_corners(order: str, size: tuple[int, int] | None, box: list[float]) -> None:
    assert np.allclose(_written(order, size, box), [0.1, 0.2, 0.5, 0.8])


def test_boxes_end_at_the_edges() -> None:
    assert np.allclose(_written("cxcywh", None, [0.9, 0.1, 0.4, 0.4]), [0.7, 0, 1, 0.3])


def _written(order: str, size: tuple[int, int] | None, box: list[float]) -> list[float]:
    builder = GraphBuilder()
    candidates.write_boxes(builder, "raw", candidates.BoxFormat(order, size))
    model = builder.model("b", [Port("raw", FLOAT, (None, 100, 4))], [Port(BOXES, FLOAT, (None, 100, 4))])
    values = np.broadcast_to(np.array(box, np.float32), (1, 100, 4))
    written: list[float] = run(open_session(model.SerializeToString()), {"raw": values})[BOXES][0, 42].tolist()
    return written


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_the_hundred_best_anchors_in_order_of_their_best_class(opset: int) -> None:
    scores = np.random.default_rng(1).uniform(size=(3, 250, 7)).astype(np.float32)
    builder = GraphBuilder(opset)
    best = candidates.select_candidates(builder, "all")
    builder.node("Identity", best.best, output=SCORES)
    candidates.write_labels(builder, best)
    outputs = [Port(SCORES, FLOAT, (None, 100)), Port(LABELS, INT32, (None, 100))]
    model = builder.model("c", [Port("all", FLOAT, (None, 250, 7))], outputs)
    answer = run(open_session(model.SerializeToString()), {"all": scores})
    order = np.argsort(-scores.max(axis=2), axis=1)[:, :100]
    assert np.array_equal(answer[SCORES], np.take_along_axis(scores.max(axis=2), order, axis=1))
    assert np.array_equal(answer[LABELS], np.take_along_axis(scores.argmax(axis=2), order, axis=1))
