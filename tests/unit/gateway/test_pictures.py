"""GetPicture: the crop behind a match."""

import pytest

from framelens_client.v1 import framelens_pb2 as pb
from framelens_gateway.crops import CropStore, picture_id
from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, NotFound
from framelens_gateway.pictures import Pictures

CROP = b"\xff\xd8crop"
ID = picture_id("cup-1", CROP)


async def test_a_crop_that_is_kept(crops: CropStore, soon: Deadline) -> None:
    await crops.save({ID: CROP})
    assert (await Pictures(crops).get(pb.GetPictureRequest(picture_id=ID), soon)).picture == CROP


@pytest.mark.parametrize("wanted", ["", "0" * 32, ID[:-1], ID + "0", ID.upper(), "../../../../etc/passwd", f"{ID}\n"])
async def test_what_is_not_there(crops: CropStore, soon: Deadline, wanted: str) -> None:
    await crops.save({ID: CROP})
    with pytest.raises(NotFound, match="picture_id of a match"):
        await Pictures(crops).get(pb.GetPictureRequest(picture_id=wanted), soon)


async def test_the_callers_time_is_over(crops: CropStore) -> None:
    with pytest.raises(DeadlineExceeded):
        await Pictures(crops).get(pb.GetPictureRequest(picture_id=ID), Deadline.after(-1))
