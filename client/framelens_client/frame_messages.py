"""Conversion between the values of frames.py and the messages of the contract."""

from dataclasses import asdict

from framelens_client import errors, messages
from framelens_client.frames import RecognizeOptions, RelatedOptions, StreamAnswer, StreamFrame
from framelens_client.v1 import framelens_pb2 as pb


def recognize_request(picture: bytes | None, options: RecognizeOptions) -> pb.RecognizeRequest:
    """Raises ValueError where neither a picture nor a moment is named."""
    if picture is None and (not options.video_id or options.timestamp_s is None):
        raise ValueError("there is nothing to look at: give a picture, or video_id and timestamp_s")
    return pb.RecognizeRequest(
        picture=picture or b"",
        search=messages.search_options(options.top_k, options.min_score, options.filter, options.use_boost),
        min_object_score=options.min_object_score,
        max_objects=options.max_objects,
        key=options.key,
        video_id=options.video_id,
        timestamp_s=options.timestamp_s,
        fresh=options.fresh,
        related=_related(options.related),
        unnamed_objects=options.unnamed_objects,
    )


def stream_request(frame: StreamFrame, picture: bytes | None) -> pb.RecognizeStreamRequest:
    return pb.RecognizeStreamRequest(
        id=frame.id,
        request=recognize_request(picture, frame),
        timeout_ms=None if frame.timeout_s is None else frame.timeout_s * 1e3,
    )


def stream_answer(answer: pb.RecognizeStreamResponse) -> StreamAnswer:
    if answer.HasField("response"):
        return StreamAnswer(answer.id, recognition=messages.recognition(answer.response))
    error = answer.error
    retry_after_s = error.retry_after_ms / 1e3 if error.HasField("retry_after_ms") else None
    return StreamAnswer(answer.id, error=errors.of_reason(error.reason, error.message, retry_after_s))


def _related(options: RelatedOptions | None) -> pb.RelatedOptions | None:
    return None if options is None else pb.RelatedOptions(**asdict(options))
