"""Brings the next collection level with the live one while both are written.

A row is the same in both when its id and `updated_at` are. What differs is copied from the live collection or, where
that does not have it, deleted; then all is compared again, until a comparison finds nothing. A copy may be older than
a write that overtook it, and a deletion may hit a row that has just come back: the next comparison sees both.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from framelens_gateway.filters import one_of
from framelens_gateway.gathering import all_or_first_failure
from framelens_gateway.index import Collection
from framelens_gateway.index_admin.admin_index import AdminIndex
from framelens_gateway.index_admin.errors import Refused
from framelens_gateway.index_admin.filling import Filling
from framelens_gateway.index_admin.progress import Progress

_ROWS_AT_ONCE = 64
_BATCHES_AT_ONCE = 2
_MOST_PASSES = 50
# A write reaches the live collection some milliseconds before the next one: what differs is looked at again.
_LOOKS = 4
_BETWEEN_LOOKS_S = 0.25


@dataclass(frozen=True)
class Difference:
    to_copy: Sequence[str]
    to_delete: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.to_copy or self.to_delete)


@dataclass
class Levelled:
    """How much it took."""

    copied: int = 0
    deleted: int = 0
    passes: int = 0


class Levelling:
    def __init__(
        self, index: AdminIndex, source: Collection, target: Collection, filling: Filling, progress: Progress
    ) -> None:
        self._index, self._filling, self._progress = index, filling, progress
        self._source, self._target = source.name, target.name

    async def run(self) -> Levelled:
        """Returns once a comparison has found nothing. Raises Refused where that never happens, CropUnusable."""
        done = Levelled()
        while difference := await self._difference(certain=done.passes > 0):
            if done.passes == _MOST_PASSES:
                raise Refused(
                    f"{self._target} still differs from {self._source} after {_MOST_PASSES} passes; let a command run "
                    "while there are fewer writes"
                )
            done.passes += 1
            await self._copy(difference.to_copy, done)
            await self._delete(difference.to_delete, done)
            await self._index.flush(self._target)
        return done

    async def _difference(self, certain: bool) -> Difference:
        """The first time nearly all differs, and nothing is gained by looking twice."""
        source, target = await self._index.stamps(self._source), await self._index.stamps(self._target)
        difference = _difference(source, target)
        for _ in range(_LOOKS if certain else 0):
            if not difference:
                break
            await asyncio.sleep(_BETWEEN_LOOKS_S)
            suspects = [*difference.to_copy, *difference.to_delete]
            difference = _difference(
                await self._stamps_of(self._source, suspects), await self._stamps_of(self._target, suspects)
            )
        return difference

    async def _stamps_of(self, collection: str, row_ids: Sequence[str]) -> dict[str, float]:
        found: dict[str, float] = {}
        for batch in _batches(row_ids):
            found |= {row["row_id"]: row["updated_at"] for row in await self._index.stored(collection, batch)}
        return found

    async def _copy(self, row_ids: Sequence[str], done: Levelled) -> None:
        at_once = asyncio.Semaphore(_BATCHES_AT_ONCE)

        async def copy(batch: Sequence[str]) -> None:
            async with at_once:
                rows = await self._filling.rows(batch)
                if rows:
                    await self._index.upsert(self._target, rows)
            done.copied += len(rows)
            step(len(batch))

        with self._progress.counting("rows", len(row_ids)) as step:
            await all_or_first_failure(copy(batch) for batch in _batches(row_ids))

    async def _delete(self, row_ids: Sequence[str], done: Levelled) -> None:
        for batch in _batches(row_ids):
            there = {row["row_id"] for row in await self._index.stored(self._source, batch)}
            gone = [row_id for row_id in batch if row_id not in there]
            if gone:
                await self._index.delete(self._target, one_of("row_id", gone))
                done.deleted += len(gone)


def _difference(source: dict[str, float], target: dict[str, float]) -> Difference:
    return Difference(
        [row_id for row_id, stamp in source.items() if target.get(row_id) != stamp],
        [row_id for row_id in target if row_id not in source],
    )


def _batches(row_ids: Sequence[str]) -> list[Sequence[str]]:
    return [row_ids[at : at + _ROWS_AT_ONCE] for at in range(0, len(row_ids), _ROWS_AT_ONCE)]
