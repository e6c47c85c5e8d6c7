"""Answers from stored moments where they cover what is asked, and looks at the picture where not."""

from framelens_client.reasons import Reason
from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway import validation
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import InvalidRequest, NotFound
from framelens_gateway.trials.search import Search
from framelens_gateway.videos.stored_objects import InView, StoredObjects
from framelens_gateway.visual_search import VisualSearch


class MomentSearch:
    """Stands before a search that needs pictures; regions are always of pictures."""

    def __init__(self, pictures: Search, live: VisualSearch, stored: StoredObjects) -> None:
        self._pictures, self._live, self._stored = pictures, live, stored

    async def recognize(self, request: pb.RecognizeRequest, deadline: Deadline) -> pb.RecognizeResponse:
        """Raises GatewayError."""
        asked = validation.second_of_video(request)
        if asked is None or request.fresh:
            return await self._pictures.recognize(request, deadline)
        min_score, max_objects = validation.objects_wanted(request)
        validation.check_key(request.key)
        validation.check_related(request.related)
        in_view = await self._stored.in_view(*asked, min_score, max_objects)
        if in_view is not None and in_view.objects:
            return await self._live.recognize_stored(request, in_view, deadline)
        if not request.picture:
            raise _nothing_stored(request, in_view)
        return await self._pictures.recognize(request, deadline)

    async def search_region(self, request: pb.SearchRegionRequest, deadline: Deadline) -> pb.SearchRegionResponse:
        return await self._pictures.search_region(request, deadline)


def _nothing_stored(request: pb.RecognizeRequest, in_view: InView | None) -> InvalidRequest | NotFound:
    if in_view is None:
        return NotFound(f"video {request.video_id} is not stored; send the picture, or index the video first")
    return InvalidRequest(
        f"no moment of video {request.video_id} covers second {request.timestamp_s:g}; send the picture of it",
        Reason.INVALID_PICTURE,
    )
