"""Writes what was followed in a video: a row for each track in every collection that is live or can become it.

The rows of one indexing of a video stand beside those of the one before until it is whole; then the others go, and its
record takes the place of theirs. What a killed gateway leaves behind goes with the next indexing of that video.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from uuid import uuid4

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.aliases import Aliases
from framelens_gateway.crops import CropStore, picture_id
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import GatewayError
from framelens_gateway.filters import all_of, quoted
from framelens_gateway.flushing import Flusher
from framelens_gateway.gathering import all_or_first_failure
from framelens_gateway.index import Collection, Row, Rows, Vector
from framelens_gateway.recognizer import WHOLE_PICTURE, Box, FoundObject, Recognizer, RecognizerCall
from framelens_gateway.routing import Route
from framelens_gateway.videos.following import Followed
from framelens_gateway.videos.store import VideoStore

log = logging.getLogger(__name__)

# Below every character that an id may have.
_BEFORE_ALL = "\x1f"
# One recognition of a few crops, at most.
_EMBED_S = 30.0


@dataclass
class Indexing:
    """One indexing of a video, as far as it has come."""

    video: pb.Video
    collections: list[Collection]
    tracks: list[pb.Track] = field(default_factory=list)
    id: str = field(default_factory=lambda: uuid4().hex[:16])
    # Of all its rows, in every collection: those of one track are told to be the same by it.
    began_at: float = field(default_factory=time.time)

    @property
    def live(self) -> Collection:
        return self.collections[0]

    @property
    def pictures(self) -> set[str]:
        return {track.picture_id for track in self.tracks}


class VideoWrites:
    """Rows, crops and records of videos; knows nothing of requests and answers."""

    def __init__(
        self,
        recognizer: Recognizer,
        aliases: Aliases,
        index: Rows,
        crops: CropStore,
        store: VideoStore,
        flusher: Flusher,
    ) -> None:
        self._recognizer, self._aliases, self._index = recognizer, aliases, index
        self._crops, self._store, self._flusher = crops, store, flusher

    async def begin(self, video: pb.Video) -> Indexing:
        """Raises Unavailable."""
        return Indexing(video, await self._aliases.written(Route.VIDEOS))

    async def add(self, indexing: Indexing, followed: Sequence[Followed]) -> None:
        """Stores tracks that are over. Raises GatewayError."""
        if not followed:
            return
        by_frame = sorted(followed, key=lambda each: each.track.best.at_s)
        for _, group in groupby(by_frame, key=lambda each: each.track.best.at_s):
            await self._add_of_frame(indexing, list(group))

    async def finish(self, indexing: Indexing, stored: pb.StoredVideo) -> pb.StoredVideo:
        """What is stored now, in place of what was. Raises GatewayError."""
        await self._reach_new_collections(indexing)
        stored.tracks.extend(sorted(indexing.tracks, key=lambda track: track.sightings[0].at_s))
        before = await self._store.read(indexing.video.id)
        await self._delete_rows(indexing, f"indexing != {quoted(indexing.id)}")
        # Last, because whoever reads it takes the rest for done.
        await self._store.save(stored)
        if before is not None:
            await self._crops.delete({track.picture_id for track in before.tracks} - indexing.pictures)
        return stored

    async def undo(self, indexing: Indexing) -> None:
        """Takes back what an indexing that failed has written; what cannot be goes with the next one."""
        try:
            await self._delete_rows(indexing, f"indexing == {quoted(indexing.id)}")
            kept = await self._store.read(indexing.video.id)
            used = {track.picture_id for track in kept.tracks} if kept is not None else set()
            await self._crops.delete(indexing.pictures - used)
        except (GatewayError, OSError) as error:
            log.warning("could not take back what was written of video %s: %s", indexing.video.id, error)

    async def delete(self, video_id: str) -> bool:
        """Whether it was stored. Raises Unavailable."""
        stored = await self._store.read(video_id)
        for collection in await self._aliases.written(Route.VIDEOS):
            await self._index.delete(collection.name, f"video_id == {quoted(video_id)}")
            self._flusher.wrote(collection.name)
        if stored is None:
            return False
        await self._store.delete(video_id)
        await self._crops.delete({track.picture_id for track in stored.tracks})
        return True

    async def _add_of_frame(self, indexing: Indexing, followed: Sequence[Followed]) -> None:
        """All tracks that show best in one frame."""
        frame, boxes = followed[0].best_frame, tuple(_inside(each.track.best.box) for each in followed)
        found: dict[str, Sequence[FoundObject]] = {}
        for collection in indexing.collections:
            if collection.space not in found:
                call = RecognizerCall(frame, collection.space, regions=boxes, crops=not found)
                found[collection.space] = await self._recognised(call)
        crops = [each.crop for each in found[indexing.live.space]]
        pictures = [picture_id(_owner(indexing.video.id), crop) for crop in crops]
        await self._crops.save(dict(zip(pictures, crops, strict=True)))
        first = len(indexing.tracks)
        tracks = [
            _track(first + n, each, picture) for n, (each, picture) in enumerate(zip(followed, pictures, strict=True))
        ]
        indexing.tracks.extend(tracks)
        for collection in indexing.collections:
            vectors = [each.embedding for each in found[collection.space]]
            await self._upsert(indexing, collection, tracks, vectors)

    async def _upsert(
        self, indexing: Indexing, collection: Collection, tracks: Sequence[pb.Track], vectors: Sequence[Vector]
    ) -> None:
        for vector in vectors:
            collection.check_size(vector)
        rows = [_row(indexing, track, vector) for track, vector in zip(tracks, vectors, strict=True)]
        await self._index.upsert(collection.name, rows)
        self._flusher.wrote(collection.name)

    async def _reach_new_collections(self, indexing: Indexing) -> None:
        """Collections that have come to be written meanwhile are filled from the crops."""
        while missing := [
            each for each in await self._aliases.written(Route.VIDEOS) if each not in indexing.collections
        ]:
            for collection in missing:
                for track in indexing.tracks:
                    crop = await self._crops.read(track.picture_id) or b""
                    call = RecognizerCall(crop, collection.space, regions=(WHOLE_PICTURE,))
                    (found,) = await self._recognised(call)
                    await self._upsert(indexing, collection, [track], [found.embedding])
                indexing.collections.append(collection)

    async def _recognised(self, call: RecognizerCall) -> Sequence[FoundObject]:
        return (await self._recognizer.recognize(call, Deadline.after(_EMBED_S))).objects

    async def _delete_rows(self, indexing: Indexing, condition: str) -> None:
        expression = all_of(f"video_id == {quoted(indexing.video.id)}", condition)
        # A collection that has come to be written meanwhile may have been filled with rows of this indexing.
        written = await self._aliases.written(Route.VIDEOS)
        names = {each.name for each in (*indexing.collections, *written)}
        await all_or_first_failure(self._index.delete(name, expression) for name in names)
        for name in names:
            self._flusher.wrote(name)


def _owner(video_id: str) -> str:
    """A product may have the same id."""
    return f"video{_BEFORE_ALL}{video_id}"


def _inside(box: Box) -> Box:
    return Box(*(min(max(value, 0.0), 1.0) for value in box))


def _track(number: int, followed: Followed, picture: str) -> pb.Track:
    track, best = followed.track, followed.track.best
    return pb.Track(
        number=number,
        label=track.label,
        score=max(seen.score for seen in track.seen),
        at_s=best.at_s,
        box=pb.Box(**_inside(best.box)._asdict()),
        picture_id=picture,
        sightings=[
            pb.Sighting(at_s=seen.at_s, box=pb.Box(**_inside(seen.box)._asdict()), score=seen.score)
            for seen in track.seen
        ],
    )


def _row(indexing: Indexing, track: pb.Track, vector: Vector) -> Row:
    video = indexing.video
    return {
        "row_id": f"{video.id}{_BEFORE_ALL}{indexing.id}{_BEFORE_ALL}{track.number:06d}",
        "video_id": video.id,
        "account": video.account,
        "title": video.title,
        "url": video.url,
        "label": track.label,
        "picture_id": track.picture_id,
        "indexing": indexing.id,
        "published_at": video.published_at,
        "start_s": track.sightings[0].at_s,
        "end_s": track.sightings[-1].at_s,
        "at_s": track.at_s,
        "updated_at": indexing.began_at,
        "score": track.score,
        "x_min": track.box.x_min,
        "y_min": track.box.y_min,
        "x_max": track.box.x_max,
        "y_max": track.box.y_max,
        "embedding": vector,
    }
