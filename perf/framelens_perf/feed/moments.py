"""Asks for moments as feeds do, with many videos stored."""

import asyncio
import hashlib
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from random import Random

from framelens_client import NO_RETRIES, AsyncClient, Client, FrameLensError
from framelens_client.v1 import framelens_pb2 as pb
from framelens_perf.open_loop.schedule import poisson
from framelens_perf.open_loop.sender import Answer, Sent, send
from framelens_perf.open_loop.summary import Summary, summarize

_MOST_OUTSTANDING = 1000
_DEADLINE_S = 5.0
_WARM_UP_S = 3.0
_TURNS = 3


def store_copies(client: Client, stored: Sequence[str], count: int, videos_dir: Path) -> list[str]:
    """Writes so many videos like those that are `stored`, as the gateway keeps them (docs/videos.md); their ids.

    Raises FrameLensError where the gateway does not know them then.
    """
    kept = [_kept(videos_dir, video_id) for video_id in stored]
    copies = [f"feed-{number}" for number in range(count)]
    for video_id, (video, moments) in zip(copies, cycle(kept), strict=False):
        video.video.id = moments.video_id = video_id
        _file(videos_dir, video_id, "video").write_bytes(video.SerializeToString())
        _file(videos_dir, video_id, "moments").write_bytes(moments.SerializeToString())
    client.moments(copies[-1])
    return copies


def ask_moments(addresses: Sequence[str], video_ids: Sequence[str], rate: float, seconds: float) -> list[Summary]:
    """Callers who don't know of each other, each asking for one of all videos; `seconds` for each address, by turns."""
    sent: list[list[Sent[str]]] = [[] for _ in addresses]
    for turn in range(_TURNS):
        for address, so_far in zip(addresses, sent, strict=True):
            so_far += asyncio.run(_asked(address, video_ids, rate, seconds / _TURNS, turn))
    return [summarize(each, seconds) for each in sent]


async def _asked(address: str, video_ids: Sequence[str], rate: float, seconds: float, seed: int) -> list[Sent[str]]:
    async with AsyncClient(address, retries=NO_RETRIES) as client:

        async def ask(video_id: str) -> Answer:
            try:
                await client.moments(video_id, timeout_s=_DEADLINE_S)
            except FrameLensError as error:
                return Answer(error.code.name)
            return Answer()

        draw = Random(seed)  # noqa: S311 - the same in every run
        await send(poisson(rate, _WARM_UP_S), draw.choices(video_ids, k=100), ask, _MOST_OUTSTANDING)
        schedule = poisson(rate, seconds, seed)
        return await send(schedule, draw.choices(video_ids, k=len(schedule)), ask, _MOST_OUTSTANDING)


def _kept(videos_dir: Path, video_id: str) -> tuple[pb.StoredVideo, pb.VideoMoments]:
    return (
        pb.StoredVideo.FromString(_file(videos_dir, video_id, "video").read_bytes()),
        pb.VideoMoments.FromString(_file(videos_dir, video_id, "moments").read_bytes()),
    )


def kept_moments(videos_dir: Path, video_id: str) -> Path:
    """The file of a video's moments."""
    return _file(videos_dir, video_id, "moments")


def _file(videos_dir: Path, video_id: str, kind: str) -> Path:
    folder = videos_dir / hashlib.sha256(video_id.encode()).hexdigest()[:2]
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{video_id}.{kind}"
