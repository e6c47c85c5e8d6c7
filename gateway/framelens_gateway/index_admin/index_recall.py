"""How often an index finds what exact search finds."""

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from framelens_gateway.index import Hit
from framelens_gateway.index_admin.admin_index import AdminIndex

_SEED = 0
# Scores that differ by less are equal: the index adds in another order.
_SAME_SCORE = 1e-5
_SEARCHED_AT_ONCE = 32

Scores = npt.NDArray[np.float32]


def sampled(row_ids: Sequence[str], count: int) -> list[str]:
    """The same rows each time, as long as the rows are the same."""
    return random.Random(_SEED).sample(sorted(row_ids), min(count, len(row_ids)))  # noqa: S311 (no secret)


async def recall_of_index(index: AdminIndex, collection: str, row_ids: Sequence[str], k: int) -> float:
    """Recall@k over the stored vectors of these rows, against the inner products with every stored vector."""
    rows = await index.stored(collection, row_ids, vectors=True)
    if not rows:
        return 1.0
    queries = np.stack([row["embedding"] for row in rows]).astype(np.float32)
    exact = await _best_scores(index, collection, queries, k)
    found: list[Sequence[Hit]] = []
    for at in range(0, len(queries), _SEARCHED_AT_ONCE):
        found += await index.search(collection, list(queries[at : at + _SEARCHED_AT_ONCE]), k, "")
    recall = _recall(found, exact)
    if recall == 1:
        return recall
    # Rows that were deleted before the search, or stored after it, are no fault of the index.
    again = await _best_scores(index, collection, queries, k)
    width = min(exact.shape[1], again.shape[1])
    return _recall(found, np.minimum(exact[:, :width], again[:, :width]))


def _recall(found: Sequence[Sequence[Hit]], exact: Scores) -> float:
    """The share of the best that was found: hits that score at least what the last of the best does."""
    k = exact.shape[1]
    right = [
        min(k, sum(hit.score >= best[-1] - _SAME_SCORE for hit in hits))
        for hits, best in zip(found, exact, strict=True)
    ]
    return float(sum(right) / exact.size) if exact.size else 1.0


async def _best_scores(index: AdminIndex, collection: str, queries: Scores, k: int) -> Scores:
    """The k best scores of each query, best first; page by page, so that no collection is too large."""
    best = np.empty((len(queries), 0), np.float32)
    async for page in index.all_vectors(collection):
        vectors = np.stack([row["embedding"] for row in page]).astype(np.float32)
        best = -np.sort(-np.concatenate([best, queries @ vectors.T], axis=1), axis=1)[:, :k]
    return best
