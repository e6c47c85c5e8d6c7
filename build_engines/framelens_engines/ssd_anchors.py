"""Anchors of TensorFlow's ssd_anchor_generator as ssd_mobilenet_v2_coco_2018_03_29 was trained with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# pipeline.config of the model: num_layers 6, min_scale, max_scale, aspect_ratios (0.3333 literally, not 1/3).
_MIN_SCALE, _MAX_SCALE = 0.2, 0.95
_ASPECT_RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
# reduce_boxes_in_lowest_layer: scale and aspect of the finest map's boxes, beside its own scale.
_LOWEST_SCALE = 0.1


def ssd_anchors(feature_maps: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """(anchors, 4): y and x of the centre, height, width, in 0..1, map by map, row by row, shape by shape."""
    steps = len(feature_maps) - 1
    scales = [_MIN_SCALE + (_MAX_SCALE - _MIN_SCALE) * index / steps for index in range(steps + 1)] + [1.0]
    return np.concatenate(
        [_layer(size, _shapes(index, scales)) for index, size in enumerate(feature_maps)],
    )


def _shapes(layer: int, scales: list[float]) -> list[tuple[float, float]]:
    scale = scales[layer]
    if layer == 0:
        boxes = [(_LOWEST_SCALE, 1.0), (scale, 2.0), (scale, 0.5)]
    else:
        boxes = [(scale, aspect) for aspect in _ASPECT_RATIOS] + [(float(np.sqrt(scale * scales[layer + 1])), 1.0)]
    return [(float(size / np.sqrt(aspect)), float(size * np.sqrt(aspect))) for size, aspect in boxes]


def _layer(size: tuple[int, int], shapes: list[tuple[float, float]]) -> NDArray[np.float64]:
    rows, columns = size
    centre_y, centre_x = np.meshgrid(
        (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij"
    )
    anchors = np.empty((rows, columns, len(shapes), 4))
    anchors[..., 0], anchors[..., 1] = centre_y[..., None], centre_x[..., None]
    anchors[..., 2:] = np.array(shapes)
    return anchors.reshape(-1, 4)
