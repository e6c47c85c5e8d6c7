"""What is known to be in view at a second of a stored video: no frame of it has to be recognised again."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.crops import CropStore
from framelens_gateway.geometry import between
from framelens_gateway.recognizer import Box
from framelens_gateway.videos.moments import Moments
from framelens_gateway.videos.store import VideoStore


@dataclass(frozen=True)
class StoredObject:
    """An object of a moment, where it is at the second that was asked for, and the crop in which it shows best."""

    label: str
    score: float
    box: Box
    crop: bytes


@dataclass(frozen=True)
class InView:
    """A stored video at one second."""

    video: pb.Video
    width: int
    height: int
    objects: Sequence[StoredObject]


class StoredObjects:
    """Reads what was indexed."""

    def __init__(self, store: VideoStore, crops: CropStore, moments: Moments) -> None:
        self._store, self._crops, self._moments = store, crops, moments

    async def in_view(self, video_id: str, at_s: float, min_score: float, max_objects: int) -> InView | None:
        """The objects of the moments that cover a second, best first; None where there is no such video."""
        stored = await self._store.read(video_id)
        if stored is None:
            return None
        covering = [
            (track, box)
            for track in self._moments.salient(stored)
            if track.score >= min_score and (box := _box_at(track, at_s)) is not None
        ]
        covering.sort(key=lambda pair: -pair[0].score)
        objects = [
            StoredObject(track.label, track.score, box, crop)
            for track, box in covering[:max_objects]
            # A crop that is gone, because the video is being indexed anew, is asked for of the frame.
            if (crop := await self._crops.read(track.picture_id)) is not None
        ]
        return InView(stored.video, stored.size.width, stored.size.height, objects)


def _box_at(track: pb.Track, at_s: float) -> Box | None:
    """Between two sightings it is on the way from one to the other."""
    for before, after in pairwise(track.sightings):
        if before.at_s <= at_s <= after.at_s:
            return between(before.box, after.box, (at_s - before.at_s) / (after.at_s - before.at_s))
    return None
