"""Conversion between the values of videos.py and the messages of the contract."""

from collections.abc import Iterator

from framelens_client import videos
from framelens_client.errors import of_reason
from framelens_client.messages import box_of, size_of
from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_client.video_file import VideoFile


def header(video: videos.Video, sha256: str, server_path: str | None, again: bool) -> pb.IndexVideoRequest:
    described = pb.Video(
        id=video.id, account=video.account, title=video.title, url=video.url, published_at=video.published_at
    )
    return pb.IndexVideoRequest(
        header=pb.IndexVideoHeader(video=described, sha256=sha256, path=server_path or "", again=again)
    )


def index_requests(header: pb.IndexVideoRequest, file: VideoFile | None) -> Iterator[pb.IndexVideoRequest]:
    yield header
    if file:
        for chunk in file.chunks():
            yield pb.IndexVideoRequest(chunk=chunk)


def finished(last: videos.IndexProgress | None) -> videos.IndexProgress:
    """Raises ServerFailed where the last answer does not say what is stored."""
    if last is None or last.stored is None:
        raise of_reason(Reason.INTERNAL, "the call has ended without saying what is stored; ask for the video")
    return last


def progress(answer: pb.IndexVideoProgress) -> videos.IndexProgress:
    return videos.IndexProgress(
        state=answer.state,
        position_s=answer.position_s,
        duration_s=answer.duration_s,
        frames=answer.frames,
        tracks=answer.tracks,
        stored=stored_video(answer.stored) if answer.HasField("stored") else None,
    )


def stored_video(answer: pb.StoredVideo) -> videos.StoredVideo:
    return videos.StoredVideo(
        video=_video(answer.video),
        duration_s=answer.duration_s,
        size=size_of(answer.size) if answer.HasField("size") else None,
        frames=answer.frames,
        note=answer.note,
        tracks=tuple(_track(track) for track in answer.tracks),
        indexed_at=answer.indexed_at,
        sha256=answer.sha256,
    )


def video_page(answer: pb.ListVideosResponse) -> videos.VideoPage:
    return videos.VideoPage(tuple(stored_video(stored) for stored in answer.videos), answer.next_page_token)


def moments(answer: pb.VideoMoments) -> videos.VideoMoments:
    button = tuple(videos.Span(span.start_s, span.end_s) for span in answer.button)
    return videos.VideoMoments(answer.video_id, button, tuple(_moment(moment) for moment in answer.moments))


def batch_moments(answer: pb.BatchGetMomentsResponse) -> videos.BatchMoments:
    return videos.BatchMoments(tuple(moments(video) for video in answer.videos), tuple(answer.missing))


def _video(video: pb.Video) -> videos.Video:
    published_at = video.published_at if video.HasField("published_at") else None
    return videos.Video(video.id, video.account, video.title, video.url, published_at)


def _track(track: pb.Track) -> videos.Track:
    return videos.Track(
        number=track.number,
        label=track.label,
        score=track.score,
        at_s=track.at_s,
        box=box_of(track.box),
        picture_id=track.picture_id,
        sightings=tuple(videos.Sighting(seen.at_s, box_of(seen.box), seen.score) for seen in track.sightings),
    )


def _moment(moment: pb.Moment) -> videos.Moment:
    return videos.Moment(
        start_s=moment.start_s,
        end_s=moment.end_s,
        at_s=moment.at_s,
        box=box_of(moment.box),
        label=moment.label,
        score=moment.score,
        salience=moment.salience,
        route=moment.route,
        picture_id=moment.picture_id,
    )
