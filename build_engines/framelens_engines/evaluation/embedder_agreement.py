"""How far two embedders put the same crops in the same place, and what an index filled by a third one makes of it."""

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens_engines.errors import EngineError
from framelens_engines.evaluation.crops import Crop
from framelens_engines.evaluation.engines import OpenEngine
from framelens_engines.evaluation.pictures import chunks
from framelens_engines.evaluation.report import EmbedderAgreement, Recall
from framelens_engines.tensors import EMBEDDING

Vectors = NDArray[np.float32]
Ranks = NDArray[np.intp]

_BATCH = 8
_MATCHES = 5
_LEAST_ALIKE = 5
# Queries are searched in parts: one search of all would need as much memory as queries times gallery.
_SEARCHED_AT_ONCE = 256


@dataclass(frozen=True)
class Embedded:
    """Crops without their pixels: names, items [n], indexed [n], and each engine's vectors [n, d]."""

    names: tuple[str, ...]
    items: NDArray[np.intp]
    indexed: NDArray[np.bool_]
    vectors: tuple[Vectors, ...]


def embed(crops: Iterable[Crop], engines: Sequence[OpenEngine]) -> Embedded:
    """All crops through every engine."""
    seen: list[tuple[str, int, bool]] = []
    parts: list[list[Vectors]] = [[] for _ in engines]
    for chunk in chunks(crops, min(_BATCH, *(engine.max_batch for engine in engines))):
        seen += [(crop.name, crop.item, crop.indexed) for crop in chunk]
        images = np.stack([crop.pixels for crop in chunk])
        for part, engine in zip(parts, engines, strict=True):
            part.append(engine.infer(images)[EMBEDDING])
    names, items, indexed = zip(*seen, strict=True)
    return Embedded(names, np.array(items), np.array(indexed), tuple(np.concatenate(part) for part in parts))


def read_index_vectors(path: Path, dimension: int) -> Vectors:
    """`vectors` [n, dimension], L2-normalised, of an .npz file: a sample of a real index.

    Raises EngineError where there is nothing like it.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            vectors = np.asarray(file["vectors"], np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise EngineError(f"{path} is no .npz file with an array `vectors`: {error!r}") from error
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise EngineError(f"{path}: vectors is {list(vectors.shape)}; this space has [n, {dimension}]")
    if vectors.size and np.abs(np.linalg.norm(vectors, axis=1) - 1).max() > 1e-2:
        raise EngineError(f"{path}: vectors are not of length 1; the index holds normalised ones")
    return vectors


def embedder_agreement(
    embedded: Embedded, reference: Vectors, candidate: Vectors, serving: Vectors, index_vectors: Vectors | None = None
) -> EmbedderAgreement:
    """Vectors are rows of `embedded`; the gallery is the serving version's, for that is what an index holds."""
    cosine = (reference.astype(np.float64) * candidate).sum(axis=1)
    others = np.empty((0, serving.shape[1]), np.float32) if index_vectors is None else index_vectors
    gallery = np.concatenate([serving[embedded.indexed], others])
    asked = embedded.items[~embedded.indexed]
    found, found_now = (_nearest(vectors[~embedded.indexed], gallery) for vectors in (candidate, serving))
    lost = (found_now[:, 0] == asked) & (found[:, 0] != asked)
    return EmbedderAgreement(
        crops=len(cosine),
        mean_cosine=float(cosine.mean()),
        p1_cosine=float(np.percentile(cosine, 1)),
        min_cosine=float(cosine.min()),
        least_alike=_names(embedded, np.argsort(cosine)[:_LEAST_ALIKE]),
        queries=len(asked),
        gallery=len(gallery),
        index_vectors=len(others),
        candidate=_recall(found, asked),
        serving=_recall(found_now, asked),
        overlap_at_5=float(np.mean([np.isin(now, new).mean() for now, new in zip(found_now, found, strict=True)])),
        lost=_names(embedded, np.flatnonzero(~embedded.indexed)[lost][:_LEAST_ALIKE]),
    )


def _nearest(queries: Vectors, gallery: Vectors) -> Ranks:
    """Rows of the first matches by cosine, [queries, 5], by exact search; of equals the lower row."""
    parts = [queries[at : at + _SEARCHED_AT_ONCE] @ gallery.T for at in range(0, len(queries), _SEARCHED_AT_ONCE)]
    return np.concatenate([np.argsort(-part, axis=1, kind="stable")[:, :_MATCHES] for part in parts])


def _recall(found: Ranks, asked: Ranks) -> Recall:
    hits = found == asked[:, None]
    return Recall(at_1=float(hits[:, 0].mean()), at_5=float(hits.any(axis=1).mean()))


def _names(embedded: Embedded, rows: Ranks) -> tuple[str, ...]:
    return tuple(embedded.names[row] for row in rows)
