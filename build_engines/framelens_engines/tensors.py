"""What goes into an engine and comes out of it, by name."""

from typing import Any

from numpy.typing import NDArray

IMAGES = "images"
BUILD = "build"
BOXES, SCORES, LABELS = "boxes", "scores", "labels"
EMBEDDING = "embedding"

Answer = dict[str, NDArray[Any]]
