"""The colours of things from top to bottom: they tell those apart whose ways cross.

On the labelled pedestrians of the sample video they tell two apart twice as well as the embedder does, and cost next to
nothing: an embedder is made to find alike what is of one kind.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framelens_gateway.recognizer import Box

# A frame in CIELAB, uint8 [height, width, 3]: L in 0..255, a and b around 128.
SmallFrame = NDArray[np.uint8]
# Where in it something moves: [height, width], 0 to 1.
Moving = NDArray[np.float32]
# Roots of shares, L2-normalised: the product of two is how much of their colours they share.
Colours = NDArray[np.float32]
# [levels, 2]: the bins of a level, and its shares in them.
_Bins = tuple[NDArray[np.intp], NDArray[np.float64]]

# Parts of the height: of a person about the head and chest, the waist, the legs.
_PARTS = ((0.12, 0.35), (0.3, 0.55), (0.55, 0.95))
# Bins of lightness and of each chroma. Clothes differ little in chroma: what is farther from grey is in the last bin.
_LIGHTNESS_BINS, _CHROMA_BINS, _MOST_CHROMA = 6, 7, 10
# What is beside the middle of a box is rather background: the standard deviation of the weights, in widths.
_MIDDLE = 0.22
# What stands still is rather something else too, but may be all that there is.
_STILL_WEIGHT = 0.1
# Of a box, along a side: enough for a row in each part, and for shares.
_LEAST_ROWS, _LEAST_COLUMNS, _MOST_PIXELS = 6, 2, 32
# Measured on pedestrians: sightings of one share .76 on average, of two .40, with standard deviations of .09 and .19;
# so .5 tells nothing, and each tenth changes the log likelihood by 1 (half of what independent sightings would).
NEITHER = 0.5
_PER_SHARED = 10.0


def colours(frame: SmallFrame, moving: Moving, box: Box) -> Colours | None:
    """Of what is in the box, mostly of what moves; None where the box has too few pixels."""
    rows, heights = _places(box.y_min, box.y_max, frame.shape[0])
    columns, widths = _places(box.x_min, box.x_max, frame.shape[1])
    if len(rows) < _LEAST_ROWS or len(columns) < _LEAST_COLUMNS:
        return None
    pixels = frame[rows[:, None], columns]
    weights = np.exp(-(((widths - 0.5) / _MIDDLE) ** 2) / 2) * (_STILL_WEIGHT + moving[rows[:, None], columns])
    parts = [(heights >= top) & (heights < end) for top, end in _PARTS]
    shares = np.stack([_shares(pixels[part], weights[part]) for part in parts])
    return np.asarray(np.sqrt(shares / len(_PARTS)).ravel(), np.float32)


def unlikeness(one: Colours | None, other: Colours | None, most: float) -> float:
    """Negative log likelihood of both being of one thing against two, at most so far from 0; 0 where unknown."""
    if one is None or other is None:
        return 0.0
    return unlikeness_of(float(one @ other), most)


def unlikeness_of(shared: float, most: float) -> float:
    """The same of the product of both."""
    return max(-most, min(most, _PER_SHARED * (NEITHER - shared)))


def _places(low: float, high: float, size: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Which pixels of a side are in a box, and where in it they are, in 0..1."""
    first, end = max(0, math.floor(low * size)), min(size, math.ceil(high * size))
    step = max(1, (end - first) // _MOST_PIXELS)
    places = np.arange(first, end, step)
    return places, ((places + 0.5) / size - low) / (high - low)


def _shares(pixels: SmallFrame, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each colour, in sum 1; `weights` are of pixels.

    Counted, and not multiplied out: the threads of a matrix product would take cores from recognition.
    """
    lightness, a, b = (pixels[..., channel].ravel() for channel in range(3))
    (in_l, of_l), (in_a, of_a), (in_b, of_b) = _lightness_bins(), _chroma_bins(), _chroma_bins()
    bins = _each_of_8(np.add, in_l[lightness] * _CHROMA_BINS**2, in_a[a] * _CHROMA_BINS, in_b[b])
    shares = _each_of_8(np.multiply, of_l[lightness], of_a[a], of_b[b])
    shares *= (weights / weights.sum()).ravel()[:, None]
    return np.asarray(np.bincount(bins.ravel(), shares.ravel(), _LIGHTNESS_BINS * _CHROMA_BINS**2), np.float64)


def _each_of_8(join: np.ufunc, one: NDArray[Any], two: NDArray[Any], three: NDArray[Any]) -> NDArray[Any]:
    """[pixels, 8] of three times [pixels, 2]: each with each."""
    joined = join(join(one[:, :, None, None], two[:, None, :, None]), three[:, None, None, :])
    return np.asarray(joined.reshape(len(one), 8))


@cache
def _lightness_bins() -> _Bins:
    return _bins(np.arange(256) / 255, _LIGHTNESS_BINS)


@cache
def _chroma_bins() -> _Bins:
    return _bins((np.arange(256) - 128) / (2 * _MOST_CHROMA) + 0.5, _CHROMA_BINS)


def _bins(places: NDArray[np.float64], count: int) -> _Bins:
    """Each level is in the two bins next to it, so that a little more light changes little."""
    along = np.clip(places, 0, 1) * (count - 1)
    lower = np.minimum(along.astype(np.intp), count - 2)
    return np.stack([lower, lower + 1], 1), np.stack([1 - (along - lower), along - lower], 1)
