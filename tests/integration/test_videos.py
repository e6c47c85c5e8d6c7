"""A real video through the real stack: indexed, told to the feed, answered from, related, deleted."""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import pytest
from clips import first_seconds, sample_video
from pedestrians import tracks_of_each_pedestrian

from framelens_client import Client, FrameLensError, InvalidVideo, NotFound
from framelens_client.frames import RelatedOptions
from framelens_client.videos import Video

CLIP_S = 6


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two short parts of the sample video."""
    folder = tmp_path_factory.mktemp("clips")
    return [first_seconds(sample_video(number), folder / f"clip-{number}.mp4", CLIP_S) for number in (1, 2)]


@pytest.fixture(scope="module")
def feed(client: Client, clips: list[Path]) -> Iterator[Client]:
    """Two videos of two accounts."""
    for name, account, clip in zip(("walk-1", "walk-2"), ("ann", "bob"), clips, strict=True):
        said = []
        done = client.index_video(Video(name, account, f"Title of {name}"), clip, on_progress=said.append)
        assert done.state == "stored"
        assert said[0].state == "receiving"
        assert done.stored.duration_s == pytest.approx(CLIP_S, abs=0.5)
        assert done.stored.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    yield client
    for name in ("walk-1", "walk-2"):
        client.delete_video(name)


def test_the_feed_is_told_who_is_in_view(feed: Client) -> None:
    found = feed.moments("walk-1")
    people = [moment for moment in found.moments if moment.label == "person"]
    assert len(people) >= 3
    assert all(moment.route == "videos" and moment.end_s > moment.start_s for moment in people)
    assert found.button
    assert all(0 <= span.start_s < span.end_s <= CLIP_S + 0.5 for span in found.button)
    many = feed.batch_moments(["walk-2", "none", "walk-1"])
    assert [each.video_id for each in many.videos] == ["walk-2", "walk-1"]
    assert list(many.missing) == ["none"]


def test_a_person_leads_to_the_other_accounts_video(feed: Client) -> None:
    answer = feed.recognize(video_id="walk-1", timestamp_s=2.0)
    assert answer.served.source == "moments"
    people = [found for found in answer.objects if found.label == "person"]
    assert people
    for person in people:
        assert [(match.kind, match.id, match.video.account) for match in person.matches] == [("video", "walk-2", "bob")]
        assert 0 <= person.matches[0].video.at_s <= CLIP_S + 0.5
    own = feed.recognize(video_id="walk-2", timestamp_s=2.0, related=RelatedOptions(several_per_account=True))
    assert {match.id for found in own.objects for match in found.matches if match.kind == "video"} == {"walk-1"}


def test_nine_of_ten_pedestrians_are_one_track_and_what_is_not_in_view_is_no_moment(
    client: Client, clips: list[Path]
) -> None:
    stored = client.index_video(Video("labelled", "ann"), sample_video(1)).stored
    moments = client.moments("labelled")
    client.delete_video("labelled")
    tracks = tracks_of_each_pedestrian(stored.tracks)
    assert len(tracks) == 10
    assert sum(len(numbers) == 1 for numbers in tracks.values()) >= 9, tracks
    assert {moment.label for moment in moments.moments} == {"person", "car"}


def test_a_frame_of_it_is_looked_at_where_that_is_asked_for(feed: Client, clips: list[Path]) -> None:
    with av.open(clips[0]) as container:
        frame = next(each for each in container.decode(video=0) if each.time >= 2.0)
    picture = clips[0].with_suffix(".jpg")
    frame.to_image().save(picture)
    # What a track holds may be faint in this one frame.
    everything = {"min_object_score": 0.2, "max_objects": 32}
    fresh = feed.recognize(picture, video_id="walk-1", timestamp_s=2.0, fresh=True, **everything)
    known = feed.recognize(video_id="walk-1", timestamp_s=2.0)
    assert (fresh.served.source, known.served.source) == ("picture", "moments")
    boxes = [found.box for found in fresh.objects if found.label == "person"]
    middles = [(found.box.x_min + found.box.x_max) / 2 for found in known.objects if found.label == "person"]
    apart = sorted(min(abs((box.x_min + box.x_max) / 2 - middle) for box in boxes) for middle in middles)
    # Who is hidden at that second is where the way from one sighting to the next leads.
    assert apart[len(apart) // 2] < 0.02


def test_the_crop_of_a_match_is_a_picture(feed: Client, stack: object) -> None:
    moment = feed.moments("walk-1").moments[0]
    assert feed.picture(moment.picture_id)[:2] == b"\xff\xd8"
    answer = httpx.get(f"http://{stack['http']}/v1/pictures/{moment.picture_id}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


def test_the_same_file_is_not_indexed_again(feed: Client, clips: list[Path]) -> None:
    started = time.monotonic()
    said = []
    again = feed.index_video(Video("walk-1", "ann", "Title of walk-1"), clips[0], on_progress=said.append)
    assert [each.state for each in said] == ["unchanged"]
    assert again.stored == feed.video("walk-1")
    assert time.monotonic() - started < 5


def test_an_upload_over_http_answers_in_lines(feed: Client, stack: object, clips: list[Path]) -> None:
    head = {"video": {"id": "walk-http", "account": "ann"}}
    url = f"http://{stack['http']}/v1/videos"
    with clips[0].open("rb") as file:
        answer = httpx.post(url, data={"request": json.dumps(head)}, files={"video": file}, timeout=120)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [lines[0]["state"], lines[-1]["state"]] == ["receiving", "stored"]
    assert lines[-1]["stored"]["tracks"]
    broken = httpx.post(url, data={"request": json.dumps(head)}, files={"video": b"no video"}, timeout=60)
    assert json.loads(broken.text.splitlines()[-1])["error"]["reason"] == "INVALID_VIDEO"
    unnamed = httpx.post(url, files={"video": b"no video"}, timeout=60)
    assert (unnamed.status_code, unnamed.json()["error"]["reason"]) == (400, "INVALID_ARGUMENT")
    gone = httpx.post(f"{url}:delete", json={"id": "walk-http"})
    assert gone.json() == {"deleted": True}
    assert httpx.get(f"{url}/walk-http").status_code == 404


def test_a_path_needs_leave(feed: Client, clips: list[Path]) -> None:
    with pytest.raises(InvalidVideo, match="video_dirs"):
        feed.index_video(Video("walk-path", "ann"), server_path=str(clips[0]))


def test_what_is_deleted_is_gone(feed: Client, clips: list[Path]) -> None:
    stored = feed.index_video(Video("walk-3", "cid"), clips[0]).stored
    assert "walk-3" in [each.video.id for each in feed.all_videos()]
    assert feed.delete_video("walk-3")
    assert not feed.delete_video("walk-3")
    for ask in (feed.video, feed.moments):
        with pytest.raises(NotFound):
            ask("walk-3")
    with pytest.raises(NotFound):
        feed.picture(stored.tracks[0].picture_id)
    again = feed.recognize(video_id="walk-1", timestamp_s=2.0)
    assert "walk-3" not in [match.id for found in again.objects for match in found.matches]


def test_a_gateway_that_is_killed_while_it_indexes_loses_nothing_that_was_stored(
    start_stack: object, clips: list[Path], tmp_path: Path
) -> None:
    import os
    import signal

    with start_stack(tmp_path / "stack") as stack, Client(stack["grpc"]) as client:
        kept = client.index_video(Video("kept", "ann"), clips[0]).stored

        def kill(progress: object) -> None:
            if progress.state == "indexing" and progress.tracks:
                os.kill(stack.pid("gateway"), signal.SIGKILL)

        with pytest.raises(FrameLensError):
            client.index_video(Video("killed", "bob"), clips[1], on_progress=kill)
        end = time.monotonic() + 60
        while True:
            try:
                stored = client.video("kept")
                break
            except FrameLensError:
                assert time.monotonic() < end
                time.sleep(0.5)
        assert stored == kept
        with pytest.raises(NotFound):
            client.video("killed")
        assert client.index_video(Video("killed", "bob"), clips[1]).state == "stored"
        found = client.recognize(video_id="kept", timestamp_s=2.0)
        assert {match.id for each in found.objects for match in each.matches if match.kind == "video"} == {"killed"}
