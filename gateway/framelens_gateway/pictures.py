"""The core of GetPicture: the crops that are kept of what is indexed."""

import re

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.crops import CropStore
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import NotFound

# As crops.picture_id makes them; nothing else becomes a path.
_PICTURE_ID = re.compile(r"[0-9a-f]{32}")


class Pictures:
    """Reads crops by the picture_id of a match."""

    def __init__(self, crops: CropStore) -> None:
        self._crops = crops

    async def get(self, request: pb.GetPictureRequest, deadline: Deadline) -> pb.Picture:
        """Raises NotFound, also for an id that no picture can have."""
        deadline.remaining("reading")
        wanted = request.picture_id
        crop = await self._crops.read(wanted) if _PICTURE_ID.fullmatch(wanted) else None
        if crop is None:
            raise NotFound(f"there is no picture {wanted[:64]!r}; picture_id of a match names one")
        return pb.Picture(picture=crop)
