"""How a row of the live collection becomes a row of the next one."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from framelens_gateway.crops import CropStore
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest
from framelens_gateway.gathering import all_or_first_failure
from framelens_gateway.index import Collection, Row, Vector
from framelens_gateway.index_admin.admin_index import AdminIndex
from framelens_gateway.index_admin.errors import CropUnusable
from framelens_gateway.recognizer import WHOLE_PICTURE, Recognizer, RecognizerCall

# A call may wait in Triton's queue behind live traffic.
_CALL_TIMEOUT_S = 60.0
# After an embedding, in times of what it took: beside callers who take 70 % of two cores, a place that worked half of
# the time took what was left of them.
_REST_OVER_WORK = 3


class Filling(Protocol):
    async def rows(self, row_ids: Sequence[str]) -> list[Row]:
        """The rows as they are now, with vectors of the next collection; without those that are gone."""
        ...


class CropEmbedder:
    """Crops as vectors of a space, a few at once; each place works a quarter of the time, for the callers' sake."""

    def __init__(self, recognizer: Recognizer, crops: CropStore, in_flight: int) -> None:
        self._recognizer, self._crops = recognizer, crops
        self._in_flight = asyncio.Semaphore(in_flight)

    async def crop(self, row: Row) -> bytes | None:
        return await self._crops.read(row["picture_id"])

    async def embed(self, picture: bytes, collection: Collection) -> Vector:
        """Raises InvalidRequest, Unavailable, DeadlineExceeded."""
        call = RecognizerCall(picture, collection.space, regions=(WHOLE_PICTURE,))
        async with self._in_flight:
            started = time.monotonic()
            recognition = await self._recognizer.recognize(call, Deadline.after(_CALL_TIMEOUT_S))
            await asyncio.sleep(_REST_OVER_WORK * (time.monotonic() - started))
        vector = recognition.objects[0].embedding
        collection.check_size(vector)
        return vector


class FromCrops:
    """Embeds the stored crops in another space."""

    def __init__(self, index: AdminIndex, embedder: CropEmbedder, source: Collection, target: Collection) -> None:
        self._index, self._embedder = index, embedder
        self._source, self._target = source, target

    async def rows(self, row_ids: Sequence[str]) -> list[Row]:
        """Raises CropUnusable."""
        rows = await self._index.stored(self._source.name, row_ids)
        filled = await all_or_first_failure(self._filled(row) for row in rows)
        return [row for row in filled if row is not None]

    async def _filled(self, row: Row) -> Row | None:
        crop = await self._embedder.crop(row)
        if crop is None:
            if await self._is_still_there(row):
                raise CropUnusable(row, "its file is missing")
            return None
        try:
            return {**row, "embedding": await self._embedder.embed(crop, self._target)}
        except InvalidRequest as error:
            raise CropUnusable(row, error.message) from error

    async def _is_still_there(self, row: Row) -> bool:
        """What is replaced or deleted meanwhile loses its crops after its rows, and may get them back."""
        now = await self._index.stored(self._source.name, [row["row_id"]])
        return bool(now) and now[0]["updated_at"] == row["updated_at"]


class FromVectors:
    """Takes the stored vectors as they are, for a collection of the same space."""

    def __init__(self, index: AdminIndex, source: Collection) -> None:
        self._index, self._source = index, source

    async def rows(self, row_ids: Sequence[str]) -> list[Row]:
        return await self._index.stored(self._source.name, row_ids, vectors=True)
