"""Searches among the vectors of a real index: what is read of one, and what it changes."""

from pathlib import Path

import numpy as np
import pytest

from framelens_engines.errors import EngineError
from framelens_engines.evaluation.embedder_agreement import Embedded, Vectors, embedder_agreement, read_index_vectors


def _unit(*rows: tuple[float, ...]) -> Vectors:
    vectors = np.array(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_what_the_index_export_wrote_is_read(tmp_path: Path) -> None:
    written = _unit((1, 0, 0), (1, 1, 1))
    np.savez(tmp_path / "vectors.npz", vectors=written)
    assert np.array_equal(read_index_vectors(tmp_path / "vectors.npz", 3), written)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"others": _unit((1, 0, 0))}, "no .npz file with an array `vectors`"),
        ({"vectors": _unit((1, 0))}, r"vectors is \[1, 2\]; this space has \[n, 3\]"),
        ({"vectors": np.ones((2, 3), np.float32)}, "vectors are not of length 1"),
    ],
)
def test_what_is_no_export_is_refused(tmp_path: Path, arrays: dict[str, Vectors], complaint: str) -> None:
    np.savez(tmp_path / "vectors.npz", **arrays)
    with pytest.raises(EngineError, match=complaint):
        read_index_vectors(tmp_path / "vectors.npz", 3)


def test_queries_are_searched_among_the_vectors_of_the_index_too() -> None:
    """A stored vector that lies nearer to the query than its own crop takes its place."""
    vectors = _unit((1, 0, 0), (1, 0.2, 0), (0, 1, 0), (0, 1, 0.1))
    crops = Embedded(
        names=("a", "a/relit", "b", "b/relit"),
        items=np.array([0, 0, 1, 1]),
        indexed=np.array([True, False, True, False]),
        vectors=(),
    )
    alone = embedder_agreement(crops, vectors, vectors, vectors)
    among = embedder_agreement(crops, vectors, vectors, vectors, _unit((1, 0.2, 0)))
    assert (alone.candidate.at_1, alone.gallery, alone.index_vectors) == (1, 2, 0)
    assert (among.candidate.at_1, among.gallery, among.index_vectors) == (0.5, 3, 1)
