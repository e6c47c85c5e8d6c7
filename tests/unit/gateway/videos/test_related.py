"""Other accounts' videos that look alike, one of each, newest first among equals."""

import pytest
from gateway_fakes import FakeIndex, unit

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.deadline import Deadline
from framelens_gateway.index import Collection, Row
from framelens_gateway.merging import SearchMerger
from framelens_gateway.validation import search_options
from framelens_gateway.videos.related import Related
from framelens_gateway.videos.store import VideoStore

QUERY = unit(1, 0)


def row(video_id: str, account: str, alike: float, published_at: float = 1.0, number: int = 0) -> Row:
    return {
        "row_id": f"{video_id}\x1f{number}",
        "video_id": video_id,
        "account": account,
        "title": f"Title of {video_id}",
        "url": "",
        "label": "cat",
        "picture_id": f"picture of {video_id}",
        "published_at": published_at,
        "start_s": 1.0,
        "end_s": 4.0,
        "at_s": 2.5,
        "embedding": unit(alike, (1 - alike**2) ** 0.5),
    }


@pytest.fixture
def collection(index: FakeIndex) -> Collection:
    index.add_collection("videos")
    return index.aliases["videos"]


@pytest.fixture
def related(index: FakeIndex, video_store: VideoStore) -> Related:
    return Related(index, SearchMerger(index), video_store)


async def ids(
    related: Related,
    index: FakeIndex,
    collection: Collection,
    rows: list[Row],
    request: pb.RecognizeRequest | None = None,
) -> list[str]:
    index.rows[collection.name].update({each["row_id"]: each for each in rows})
    request = request or pb.RecognizeRequest()
    wanted = await related.wanted(request, search_options(request.search), None)
    (matches,) = await related.matches(collection, [QUERY], wanted, Deadline.after(5))
    return [match.id for match in matches]


async def test_at_most_one_of_an_account_and_never_the_video_itself(
    related: Related, index: FakeIndex, collection: Collection
) -> None:
    rows = [row("mine", "me", 1.0), row("a1", "ann", 0.9), row("a2", "ann", 0.95), row("b", "bob", 0.8)]
    request = pb.RecognizeRequest(video_id="mine")
    assert await ids(related, index, collection, rows, request) == ["a2", "b"]
    request.related.several_per_account = True
    assert await ids(related, index, collection, rows, request) == ["a2", "a1", "b"]


async def test_other_videos_of_the_same_account_are_left_out_unless_asked_for(
    related: Related, index: FakeIndex, collection: Collection, video_store: VideoStore
) -> None:
    await video_store.save(pb.StoredVideo(video=pb.Video(id="mine", account="me")))
    rows = [row("mine", "me", 1.0), row("mine2", "me", 0.9), row("b", "bob", 0.8)]
    request = pb.RecognizeRequest(video_id="mine")
    assert await ids(related, index, collection, rows, request) == ["b"]
    assert await ids(related, index, collection, rows, pb.RecognizeRequest(related={"account": "bob"})) == ["mine"]
    request.related.same_account = True
    assert await ids(related, index, collection, rows, request) == ["mine2", "b"]


async def test_the_newest_comes_first_among_equals(related: Related, index: FakeIndex, collection: Collection) -> None:
    rows = [row("old", "a", 0.9, 10), row("new", "b", 0.9, 30), row("middle", "c", 0.9, 20), row("best", "d", 0.95, 1)]
    assert await ids(related, index, collection, rows) == ["best", "new", "middle", "old"]


async def test_the_best_moment_of_a_video_says_where_to_jump(
    related: Related, index: FakeIndex, collection: Collection
) -> None:
    rows = [row("v", "ann", 0.7, number=0), row("v", "ann", 0.9, number=1) | {"at_s": 12.0}]
    index.rows[collection.name].update({each["row_id"]: each for each in rows})
    wanted = await related.wanted(pb.RecognizeRequest(), search_options(pb.SearchOptions()), None)
    ((match,),) = await related.matches(collection, [QUERY], wanted, Deadline.after(5))
    assert (match.kind, match.id, match.video.at_s, match.video.account) == ("video", "v", 12.0, "ann")
    assert match.score == pytest.approx(0.9, abs=1e-4)
    assert match.picture_id == "picture of v"


async def test_enough_accounts_are_found_behind_one_with_many_videos(
    related: Related, index: FakeIndex, collection: Collection
) -> None:
    many = [row(f"a{number}", "ann", 0.99 - number / 1e4) for number in range(200)]
    others = [row(f"o{number}", f"o{number}", 0.5 - number / 100) for number in range(12)]
    assert await ids(related, index, collection, many + others) == ["a0", *(f"o{number}" for number in range(9))]


async def test_what_is_less_alike_than_asked_for_is_left_out(
    related: Related, index: FakeIndex, collection: Collection
) -> None:
    request = pb.RecognizeRequest(search=pb.SearchOptions(min_score=0.6))
    rows = [row("a", "ann", 0.7), row("b", "bob", 0.5)]
    assert await ids(related, index, collection, rows, request) == ["a"]


async def test_quotes_do_no_harm(related: Related, index: FakeIndex, collection: Collection) -> None:
    request = pb.RecognizeRequest(video_id='" or video_id != "', related={"account": 'a"\\'})
    assert await ids(related, index, collection, [row("a", "ann", 0.7)], request) == ["a"]
