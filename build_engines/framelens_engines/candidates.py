"""A detector's last nodes: the 100 best anchors, their labels, and their boxes as corners.

NMS is not in the graph: at most 100 candidates leave it, and what suppresses them runs outside, on any target.
"""

from dataclasses import dataclass

from framelens_engines.contract import CANDIDATES
from framelens_engines.onnx_graph import INT32, GraphBuilder
from framelens_engines.tensors import BOXES, LABELS


@dataclass(frozen=True)
class BoxFormat:
    """How a network writes a box: the order of its four numbers, and what they must be divided by."""

    order: str  # a key of _BOX_ORDERS
    size: tuple[int, int] | None = None  # (height, width) if the numbers are pixels, None if they are 0..1


# Indices of x, y, width or x_max, height or y_max among the four numbers; whether they are centre and size.
_BOX_ORDERS: dict[str, tuple[tuple[int, int, int, int], bool]] = {
    "xyxy": ((0, 1, 2, 3), False),
    "yxyx": ((1, 0, 3, 2), False),
    "cxcywh": ((0, 1, 2, 3), True),
    "cycxhw": ((1, 0, 3, 2), True),
}
BOX_ORDERS = tuple(_BOX_ORDERS)


@dataclass(frozen=True)
class Candidates:
    """The best anchors of each picture: positions (N, 100) among all, their scores before activation, class scores."""

    positions: str
    best: str
    classes: str


def select_candidates(builder: GraphBuilder, class_scores: str) -> Candidates:
    """The 100 anchors whose best class scores highest; `class_scores` is (N, anchors, classes)."""
    best = builder.reduce("ReduceMax", class_scores, 2, keepdims=False)
    values, positions = builder.multi_node(
        "TopK", best, builder.integers(CANDIDATES), outputs=2, axis=1, largest=1, sorted=1
    )
    return Candidates(positions, values, gather_candidates(builder, class_scores, positions))


def gather_candidates(builder: GraphBuilder, per_anchor: str, positions: str) -> str:
    """(N, anchors, values) -> (N, 100, values)."""
    index = builder.node("Reshape", positions, builder.integers(0, CANDIDATES, 1))
    return builder.node("GatherND", per_anchor, index, batch_dims=1)


def write_labels(builder: GraphBuilder, candidates: Candidates) -> None:
    label = builder.node("ArgMax", candidates.classes, axis=2, keepdims=0)
    builder.node("Cast", label, output=LABELS, to=INT32)


def write_boxes(builder: GraphBuilder, boxes: str, box_format: BoxFormat) -> None:
    """Output `boxes`: x_min, y_min, x_max, y_max in 0..1, clipped; `boxes` is (N, 100, 4) in `box_format`."""
    order, is_centre = _BOX_ORDERS[box_format.order]
    parts = builder.multi_node("Split", boxes, builder.integers(1, 1, 1, 1), outputs=4, axis=2)
    x, y, right, bottom = (parts[index] for index in order)
    if is_centre:
        half_width = builder.node("Mul", right, builder.floats(0.5))
        half_height = builder.node("Mul", bottom, builder.floats(0.5))
        right, bottom = builder.node("Add", x, half_width), builder.node("Add", y, half_height)
        x, y = builder.node("Sub", x, half_width), builder.node("Sub", y, half_height)
    corners = builder.node("Concat", x, y, right, bottom, axis=2)
    if box_format.size is not None:
        height, width = box_format.size
        corners = builder.node("Mul", corners, builder.floats(1 / width, 1 / height, 1 / width, 1 / height))
    builder.node("Clip", corners, builder.floats(0.0), builder.floats(1.0), output=BOXES)
