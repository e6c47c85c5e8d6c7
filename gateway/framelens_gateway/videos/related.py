"""Finds what looks alike in other videos. It is likeness of appearance: nobody is identified."""

from collections.abc import Sequence
from dataclasses import dataclass

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.filters import all_of, none_of
from framelens_gateway.index import Collection, Hit, Index, Vector
from framelens_gateway.merging import SearchKey, SearchMerger
from framelens_gateway.ranking import score
from framelens_gateway.routing import Route
from framelens_gateway.validation import Search
from framelens_gateway.videos.store import VideoStore

# Hits asked for at first, and the most that every Milvus index type answers.
_FEW_HITS, _MAX_HITS = 64, 1024


@dataclass(frozen=True)
class RelatedWanted:
    """What is asked of related videos: how many, how alike, and from whom they may be."""

    top_k: int
    min_score: float
    # The video that is watched, and its account: empty where they are not known.
    video_id: str
    account: str
    several_per_account: bool

    @property
    def expression(self) -> str:
        return all_of(
            none_of("video_id", [self.video_id]) if self.video_id else "",
            none_of("account", [self.account]) if self.account else "",
        )


class Related:
    """Searches moments of videos."""

    def __init__(self, index: Index, merger: SearchMerger, store: VideoStore) -> None:
        self._index, self._merger, self._store = index, merger, store

    async def collection(self) -> Collection | None:
        """The live one; None where no video was ever indexed. Raises Unavailable."""
        return await self._index.resolve(Route.VIDEOS)

    async def wanted(self, request: pb.RecognizeRequest, options: Search, watched: pb.Video | None) -> RelatedWanted:
        """What a request asks of related videos; `watched` is the stored video, where it has been read already."""
        related, account = request.related, request.related.account
        if request.video_id and not account and not related.same_account:
            account = watched.account if watched is not None else await self._account_of(request.video_id)
        return RelatedWanted(
            options.top_k,
            options.min_score,
            request.video_id,
            "" if related.same_account else account,
            related.several_per_account,
        )

    async def matches(
        self, collection: Collection, vectors: Sequence[Vector], wanted: RelatedWanted, deadline: Deadline
    ) -> list[list[pb.Match]]:
        """For each vector the best moments, at most one of each account, or of each video where several are wanted.

        Best first, and newest first among equals. Raises GatewayError.
        """
        limit, field = _FEW_HITS, "video_id" if wanted.several_per_account else "account"
        while True:
            key = SearchKey(collection.name, wanted.expression, limit)
            found = await self._merger.search(key, vectors, deadline)
            best = [_best_of_each(field, hits, wanted.min_score) for hits in found]
            # Hits that were cut off are worth asking for only where they could still be among the answers.
            enough = all(len(each) >= wanted.top_k or len(hits) < limit for each, hits in zip(best, found, strict=True))
            if enough or limit == _MAX_HITS:
                return [[_match(hit) for hit in each[: wanted.top_k]] for each in best]
            limit = min(limit * 4, _MAX_HITS)

    async def _account_of(self, video_id: str) -> str:
        """Empty where there is no such video."""
        stored = await self._store.read(video_id)
        return stored.video.account if stored is not None else ""


def _best_of_each(field: str, hits: Sequence[Hit], min_score: float) -> list[Hit]:
    best: dict[str, Hit] = {}
    for hit in sorted(hits, key=lambda hit: (-score(hit), -hit.row["published_at"], hit.row["row_id"])):
        if score(hit) >= min_score:
            best.setdefault(hit.row[field], hit)
    return list(best.values())


def _match(hit: Hit) -> pb.Match:
    row = hit.row
    return pb.Match(
        kind="video",
        id=row["video_id"],
        title=row["title"],
        score=score(hit),
        url=row["url"],
        picture_id=row["picture_id"],
        video=pb.VideoMatch(
            account=row["account"],
            published_at=row["published_at"],
            start_s=row["start_s"],
            end_s=row["end_s"],
            at_s=row["at_s"],
            label=row["label"],
        ),
    )
