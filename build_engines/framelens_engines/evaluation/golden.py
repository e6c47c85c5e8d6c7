"""Golden queries: what a version answered when it was validated, to be asked of a server before callers meet it.

They lie in the version's folder and hold the engine's own inputs, so that nothing but the engine can differ.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framelens_engines.errors import RepositoryError
from framelens_engines.tensors import BOXES, BUILD, EMBEDDING, LABELS, SCORES, Answer
from framelens_triton.images.nms import iou_with

GOLDEN_FILE = "golden.npz"
GOLDEN_QUERIES = 8

# The engine is the same, yet a server's batches and processor may add up in another order. Between two INT8 builds
# of one network these are passed by most pictures, so a build that a server confuses is found by its number and here.
_MIN_COSINE = 0.995
_MAX_SCORE_SHIFT = 0.05
_MIN_IOU = 0.9
# Candidates under this are never shown, and may leave the best 100 by a hair.
_SHOWN_SCORE = 0.5


@dataclass(frozen=True)
class Golden:
    """Engine inputs uint8 [n, height, width, 3], and the version's own answers to them, by output."""

    images: NDArray[np.uint8]
    answers: Answer


def write_golden(folder: Path, golden: Golden) -> None:
    """Replaces the golden queries of a version in one step."""
    partial = folder / f"{GOLDEN_FILE}.partial"
    with partial.open("wb") as file:
        np.savez_compressed(file, images=golden.images, **golden.answers)
    partial.replace(folder / GOLDEN_FILE)


def read_golden(folder: Path) -> Golden:
    """Raises RepositoryError where they cannot be read."""
    path = folder / GOLDEN_FILE
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = dict(file)
        return Golden(arrays.pop("images"), arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RepositoryError(f"{path} cannot be read: {error!r}; validate that version again") from error


def difference(answers: Answer, golden: Golden) -> str:
    """In what `answers` to the golden images are not the version's own, in a sentence; empty where they are."""
    for name, own in golden.answers.items():
        if name not in answers:
            return f"there is no output {name}; there is {', '.join(sorted(answers))}"
        if answers[name].shape != own.shape:
            return f"output {name} is {list(answers[name].shape)} and was {list(own.shape)}"
        if not np.isfinite(answers[name]).all():
            return f"output {name} holds NaN or infinity"
    if (answers[BUILD] != golden.answers[BUILD]).any():
        return f"build {sorted(set(answers[BUILD].ravel().tolist()))} answered, not {golden.answers[BUILD].flat[0]}"
    return _embedding_difference(answers, golden) if EMBEDDING in answers else _detection_difference(answers, golden)


def _embedding_difference(answers: Answer, golden: Golden) -> str:
    cosine = (answers[EMBEDDING].astype(np.float64) * golden.answers[EMBEDDING]).sum(axis=1)
    worst = int(cosine.argmin())
    if cosine[worst] >= _MIN_COSINE:
        return ""
    return f"query {worst}: the embedding has cosine {cosine[worst]:.4f} to that of validation, under {_MIN_COSINE}"


def _detection_difference(answers: Answer, golden: Golden) -> str:
    for query in range(len(golden.images)):
        theirs, ours = _Rows(answers, query), _Rows(golden.answers, query)
        if (row := theirs.first_absent_from(ours)) is not None:
            return f"query {query}: found {theirs.told(row)}, which validation did not"
        if (row := ours.first_absent_from(theirs)) is not None:
            return f"query {query}: did not find {ours.told(row)}, as validation did"
    return ""


class _Rows:
    """The candidates of one picture; their order says nothing, for close scores change places."""

    def __init__(self, answer: Answer, index: int) -> None:
        self.boxes: NDArray[np.float32] = answer[BOXES][index]
        self.scores: NDArray[Any] = answer[SCORES][index]
        self.labels: NDArray[Any] = answer[LABELS][index]

    def first_absent_from(self, others: "_Rows") -> int | None:
        shown = np.flatnonzero(self.scores >= _SHOWN_SCORE)
        return next((int(row) for row in shown if not others.holds(self, int(row))), None)

    def holds(self, others: "_Rows", row: int) -> bool:
        same = self.labels == others.labels[row]
        close = np.abs(self.scores - others.scores[row]) <= _MAX_SCORE_SHIFT
        return bool((same & close & (iou_with(others.boxes[row], self.boxes) >= _MIN_IOU)).any())

    def told(self, row: int) -> str:
        box = ", ".join(f"{value:.3f}" for value in self.boxes[row])
        return f"label {self.labels[row]} with score {self.scores[row]:.3f} at ({box})"
