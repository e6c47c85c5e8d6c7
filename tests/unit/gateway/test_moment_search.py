"""What is stored of a video answers where it covers the second, and the picture where not."""

from typing import Any

import pytest
from gateway_fakes import FakeIndex, FakeRecognizer, found, product_row

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.crops import CropStore
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest, NotFound
from framelens_gateway.moment_search import MomentSearch
from framelens_gateway.videos.moments import Moments
from framelens_gateway.videos.store import VideoStore
from framelens_gateway.videos.stored_objects import StoredObjects
from framelens_gateway.visual_search import VisualSearch

CROP = "0" * 32


def box(left: float) -> pb.Box:
    return pb.Box(x_min=left, y_min=0.3, x_max=left + 0.3, y_max=0.7)


@pytest.fixture
async def feed(
    search: VisualSearch, video_store: VideoStore, crops: CropStore, moments: Moments, index: FakeIndex
) -> MomentSearch:
    """A cup that goes to the right from second 2 to 6 of a stored video."""
    sightings = [pb.Sighting(at_s=2, box=box(0.2), score=0.9), pb.Sighting(at_s=6, box=box(0.4), score=0.8)]
    track = pb.Track(label="cup", score=0.9, at_s=2, box=box(0.2), picture_id=CROP, sightings=sightings)
    size = pb.PictureSize(width=1280, height=720)
    await video_store.save(
        pb.StoredVideo(video=pb.Video(id="v", account="ann"), duration_s=9, size=size, tracks=[track])
    )
    await crops.save({CROP: b"cup"})
    index.add(product_row("cup"))
    return MomentSearch(search, search, StoredObjects(video_store, crops, moments))


def frame(at_s: float | None = 4, **fields: Any) -> pb.RecognizeRequest:
    return pb.RecognizeRequest(**{"video_id": "v", "timestamp_s": at_s, **fields})


async def test_answers_without_a_picture(feed: MomentSearch, recognizer: FakeRecognizer, soon: Deadline) -> None:
    answer = await feed.recognize(frame(), soon)
    (cup,) = answer.objects
    assert (cup.label, cup.route, cup.matches[0].id) == ("cup", "products", "cup")
    assert cup.box.x_min == pytest.approx(0.3)
    assert cup.matches[0].score == pytest.approx(1)
    assert answer.served.source == "moments"
    assert (answer.served.picture.width, answer.served.picture.height) == (1280, 720)
    assert [(call.picture, call.regions is None) for call in recognizer.calls] == [(b"cup", False)]


async def test_looks_at_the_picture_where_it_is_asked_to_or_nothing_is_stored(
    feed: MomentSearch, recognizer: FakeRecognizer, soon: Deadline
) -> None:
    recognizer.objects[b"frame"] = [found("cup")]
    for request in (
        frame(fresh=True, picture=b"frame"),
        frame(8, picture=b"frame"),
        frame(None, picture=b"frame"),
        frame(video_id="other", picture=b"frame"),
        frame(min_object_score=0.95, picture=b"frame"),
    ):
        answer = await feed.recognize(request, soon)
        assert answer.served.source == "picture"
        assert answer.objects[0].box.x_min == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("request_", "error", "says"),
    [
        (frame(8), InvalidRequest, "no moment of video v covers second 8"),
        (frame(video_id="other"), NotFound, "video other is not stored"),
        (frame(-1), InvalidRequest, "timestamp_s is -1"),
        (frame(float("nan")), InvalidRequest, "timestamp_s is NaN"),
        (frame(video_id=""), InvalidRequest, "timestamp_s without video_id"),
        (frame(video_id="x" * 81), InvalidRequest, "81 bytes"),
        (frame(fresh=True), InvalidRequest, "picture is empty"),
        (frame(max_objects=0), InvalidRequest, "max_objects"),
    ],
)
async def test_what_cannot_be_answered(
    feed: MomentSearch, soon: Deadline, request_: pb.RecognizeRequest, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        await feed.recognize(request_, soon)
    assert says in str(caught.value)


async def test_a_crop_that_is_gone_is_asked_of_the_frame(feed: MomentSearch, crops: CropStore, soon: Deadline) -> None:
    await crops.delete({CROP})
    with pytest.raises(InvalidRequest) as caught:
        await feed.recognize(frame(), soon)
    assert caught.value.reason is Reason.INVALID_PICTURE
