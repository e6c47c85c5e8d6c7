"""Vectors of a real index for `framelens-engines validate`: what a new engine's queries will be searched among."""

from pathlib import Path

import numpy as np

from framelens_gateway.index_admin.admin_index import AdminIndex
from framelens_gateway.index_admin.errors import Refused
from framelens_gateway.index_admin.index_recall import sampled


async def export_vectors(index: AdminIndex, collection: str, path: Path, most: int) -> int:
    """Writes `vectors`, float32 (N, dimension), of at most so many sampled rows to an .npz file; returns N.

    Raises Refused for a collection without rows.
    """
    chosen = set(sampled(list(await index.stamps(collection)), most))
    vectors = [
        np.asarray(row["embedding"], np.float32)
        async for page in index.all_vectors(collection)
        for row in page
        if row["row_id"] in chosen
    ]
    if not vectors:
        raise Refused(f"{collection} has no rows to export; index products or videos first")
    with path.open("wb") as file:
        np.savez(file, vectors=np.stack(vectors))
    return len(vectors)
