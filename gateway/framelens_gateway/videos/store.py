"""Keeps what was found in every video, and its moments: a few files for each video, read without any server.

`ab/ID.video` is a StoredVideo; `ab/ID.moments` its VideoMoments, small, for those who ask for nothing else. Moments are
computed anew where the file is missing or of another policy.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import quote, unquote

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.durable_files import remove_abandoned, write_all
from framelens_gateway.videos.moments import Moments

_VIDEO, _MOMENTS = ".video", ".moments"


class VideoStore:
    """A directory; gateways share one. What is written is on disk when a call returns."""

    def __init__(self, directory: Path, moments: Moments) -> None:
        self._directory = directory
        self._moments = moments

    async def save(self, stored: pb.StoredVideo) -> None:
        await asyncio.to_thread(self._save, stored)

    async def read(self, video_id: str) -> pb.StoredVideo | None:
        """None where there is no such video."""
        return await asyncio.to_thread(self._read, video_id)

    async def moments(self, video_id: str) -> pb.VideoMoments | None:
        """By the policy in force; None where there is no such video."""
        # So small a file is read sooner than a thread begins, and feeds ask often.
        kept = self._kept_moments(video_id)
        return await asyncio.to_thread(self._moments_anew, video_id) if kept is None else kept

    async def all_moments(self, video_ids: list[str]) -> list[pb.VideoMoments | None]:
        return await asyncio.to_thread(lambda: [self._read_moments(video_id) for video_id in video_ids])

    async def delete(self, video_id: str) -> None:
        await asyncio.to_thread(self._delete, video_id)

    async def page(self, after: str, account: str, count: int) -> list[pb.StoredVideo]:
        """Videos in the order of their ids, behind one, of an account where one is named; without their tracks."""
        return await asyncio.to_thread(lambda: list(islice(self._videos(after, account), count)))

    def _save(self, stored: pb.StoredVideo) -> None:
        """The old moments go first: left beside another video they would be taken for its own."""
        video_id = stored.video.id
        self._path(video_id, _MOMENTS).unlink(missing_ok=True)
        write_all({self._path(video_id, _VIDEO): stored.SerializeToString()})
        write_all({self._path(video_id, _MOMENTS): self._moments.of(stored).SerializeToString()})

    def _read(self, video_id: str) -> pb.StoredVideo | None:
        content = _content(self._path(video_id, _VIDEO))
        return None if content is None else pb.StoredVideo.FromString(content)

    def _read_moments(self, video_id: str) -> pb.VideoMoments | None:
        kept = self._kept_moments(video_id)
        return self._moments_anew(video_id) if kept is None else kept

    def _kept_moments(self, video_id: str) -> pb.VideoMoments | None:
        """None where they are not kept, or of another policy."""
        content = _content(self._path(video_id, _MOMENTS))
        kept = None if content is None else pb.VideoMoments.FromString(content)
        return kept if kept is not None and kept.policy == self._moments.policy else None

    def _moments_anew(self, video_id: str) -> pb.VideoMoments | None:
        stored = self._read(video_id)
        return None if stored is None else self._moments.of(stored)

    def _delete(self, video_id: str) -> None:
        # Without moments it would still be read; without the video nothing is.
        self._path(video_id, _MOMENTS).unlink(missing_ok=True)
        self._path(video_id, _VIDEO).unlink(missing_ok=True)

    def _videos(self, after: str, account: str) -> Iterator[pb.StoredVideo]:
        ids = sorted(unquote(file.name.removesuffix(_VIDEO)) for file in self._directory.glob(f"??/*{_VIDEO}"))
        for video_id in ids:
            stored = self._read(video_id) if video_id > after else None
            if stored is not None and account in ("", stored.video.account):
                stored.ClearField("tracks")
                yield stored

    def _path(self, video_id: str, suffix: str) -> Path:
        folder = hashlib.sha256(video_id.encode()).hexdigest()[:2]
        # "." and ".." would be names of folders.
        name = quote(video_id, safe="").replace(".", "%2E")
        return self._directory / folder / f"{name}{suffix}"


async def sweep_videos(directory: Path) -> None:
    """Removes what writes left behind that were killed, also of videos that were arriving."""
    await asyncio.to_thread(lambda: remove_abandoned([directory / "arriving", *directory.glob("??")]))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
