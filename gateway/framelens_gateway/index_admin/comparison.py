"""Old and new collection side by side, on queries sampled from what they hold, and the bounds for a switch."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from framelens_gateway.gathering import all_or_first_failure
from framelens_gateway.index import Collection, Hit, Row, Vector
from framelens_gateway.index_admin.admin_index import AdminIndex
from framelens_gateway.index_admin.alterations import altered
from framelens_gateway.index_admin.filling import CropEmbedder
from framelens_gateway.index_admin.index_recall import recall_of_index, sampled

K = 10
# A product may have several pictures among the hits; 10 things are wanted of them.
_HITS = 64
# Catalogues show one picture for many products: which ten of them an answer has is chance, and none is better.
_AS_GOOD = 0.01


@dataclass(frozen=True)
class Bounds:
    """What the new collection has to reach; `min_recall` None stands for the old one's recall less `max_loss`."""

    min_index_recall: float = 0.95
    min_overlap: float = 0.2
    min_recall: float | None = None
    max_loss: float = 0.02


@dataclass(frozen=True)
class Comparison:
    """Shares of 0 to 1 over `queries` sampled rows; the recalls of altered crops are absent within one space."""

    old: str
    new: str
    old_rows: int
    new_rows: int
    queries: int
    index_recall: float
    overlap: float
    old_recall: float | None
    new_recall: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """As people read it."""
        lines = [
            f"  rows                      {self.old_rows} old, {self.new_rows} new",
            f"  index against exact       recall@{K} {self.index_recall:.3f}",
            f"  old and new answers       overlap@{K} {self.overlap:.3f}",
        ]
        if self.old_recall is not None and self.new_recall is not None:
            lines.append(f"  altered crops             recall@1 {self.old_recall:.3f} old, {self.new_recall:.3f} new")
        return [*lines, f"  over                      {self.queries} sampled rows"]

    def failures(self, bounds: Bounds) -> list[str]:
        """In words, with the figures; rows that were written between the two counts are no fault."""
        checks = [
            ("recall of the index against exact search", self.index_recall, bounds.min_index_recall),
            (f"overlap@{K} of old and new answers", self.overlap, bounds.min_overlap),
        ]
        if self.new_recall is not None and self.old_recall is not None:
            wanted = self.old_recall - bounds.max_loss if bounds.min_recall is None else bounds.min_recall
            checks.append(("recall@1 of altered crops", self.new_recall, wanted))
        return [f"{what} is {value:.3f}, under {least:.3f}" for what, value, least in checks if value < least - 1e-9]


class Comparing:
    """`embedder` None compares within one space, by the stored vectors alone."""

    def __init__(
        self, index: AdminIndex, old: Collection, new: Collection, embedder: CropEmbedder | None, queries: int
    ) -> None:
        self._index, self._old, self._new = index, old, new
        self._embedder, self._queries = embedder, queries

    async def run(self) -> Comparison:
        """Raises Unavailable, DeadlineExceeded."""
        row_ids = sampled(list(await self._index.stamps(self._new.name)), self._queries)
        overlaps, old_right, new_right = await self._answers(row_ids)
        return Comparison(
            old=self._old.name,
            new=self._new.name,
            old_rows=await self._index.count(self._old.name),
            new_rows=await self._index.count(self._new.name),
            queries=len(row_ids),
            index_recall=await recall_of_index(self._index, self._new.name, row_ids, K),
            overlap=_mean(overlaps),
            old_recall=_mean(old_right) if self._embedder else None,
            new_recall=_mean(new_right) if self._embedder else None,
        )

    async def _answers(self, row_ids: Sequence[str]) -> tuple[list[float], list[float], list[float]]:
        """The overlaps, and whether each altered crop was found in the old collection and in the new one."""
        if self._embedder is None:
            old, new = await self._vectors(self._old, row_ids), await self._vectors(self._new, row_ids)
            return (
                [await self._overlap(old[each], new[each]) for each in row_ids if each in old and each in new],
                [],
                [],
            )
        rows = await self._index.stored(self._new.name, row_ids)
        answers = await all_or_first_failure(self._compare(row, self._embedder) for row in rows)
        overlaps = [overlap for each in answers for overlap in each[0]]
        old_right = [right for each in answers for right in each[1]]
        return overlaps, old_right, [right for each in answers for right in each[2]]

    async def _vectors(self, collection: Collection, row_ids: Sequence[str]) -> dict[str, Vector]:
        rows = await self._index.stored(collection.name, row_ids, vectors=True)
        return {row["row_id"]: np.asarray(row["embedding"], np.float32) for row in rows}

    async def _compare(self, row: Row, embedder: CropEmbedder) -> tuple[list[float], list[float], list[float]]:
        crop = await embedder.crop(row)
        if crop is None:  # Its product has been replaced or deleted since.
            return [], [], []
        pictures = await asyncio.to_thread(altered, crop)
        old_vectors = [await embedder.embed(picture, self._old) for picture in (crop, *pictures)]
        new_vectors = [await embedder.embed(picture, self._new) for picture in (crop, *pictures)]
        return (
            [await self._overlap(old_vectors[0], new_vectors[0])],
            [await self._is_found(self._old, vector, _thing(row), crop, embedder) for vector in old_vectors[1:]],
            [await self._is_found(self._new, vector, _thing(row), crop, embedder) for vector in new_vectors[1:]],
        )

    async def _overlap(self, old: Vector, new: Vector) -> float:
        """The share of the new answer that is in the old one, or could as well have been in it."""
        (old_hits,) = await self._index.search(self._old.name, [old], _HITS, "")
        (new_hits,) = await self._index.search(self._new.name, [new], _HITS, "")
        before, after = _best_things(old_hits), _best_things(new_hits)
        if not before and not after:
            return 1.0
        others = [hit.row["row_id"] for thing, hit in after.items() if thing not in before]
        least = min((hit.score for hit in before.values()), default=1.0) - _AS_GOOD
        vectors = await self._vectors(self._old, others)
        as_good = sum(float(np.dot(vector, old)) >= least for vector in vectors.values())
        return (len(after) - len(others) + as_good) / max(len(before), len(after))

    async def _is_found(
        self, collection: Collection, vector: Vector, thing: str, crop: bytes, embedder: CropEmbedder
    ) -> float:
        """1 where the thing is the best match, or where the best match shows the very same picture."""
        (hits,) = await self._index.search(collection.name, [vector], 1, "")
        if not hits:
            return 0.0
        best = hits[0].row
        return float(_thing(best) == thing or await embedder.crop(best) == crop)


def _best_things(hits: Sequence[Hit]) -> dict[str, Hit]:
    """The best hit of each of the best K things, best first."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(_thing(hit.row), hit)
    return dict(list(best.items())[:K])


def _thing(row: Row) -> str:
    """What a row shows: a product, of which others may be, or what was followed in a video, which has but one."""
    return str(row.get("product_id", row["row_id"]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0
