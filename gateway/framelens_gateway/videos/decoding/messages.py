"""What the decoding process says on its standard output: a line of JSON each; its pictures follow a frame's line."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter


class Opened(BaseModel):
    """The file is a video; `duration_s` is 0 where it does not say. Sizes are as displayed."""

    kind: Literal["opened"] = "opened"
    duration_s: float
    width: int
    height: int


class Frame(BaseModel):
    """A frame to look at; as many bytes of JPEG follow, then a small copy of it in CIELAB, 3 bytes each pixel.

    `cut` where a new scene begins.
    """

    kind: Literal["frame"] = "frame"
    at_s: float
    cut: bool
    jpeg_bytes: int
    small_width: int
    small_height: int


class Ended(BaseModel):
    """All that could be read is read; `note` says what could not."""

    kind: Literal["ended"] = "ended"
    read_s: float
    note: str


class Refused(BaseModel):
    """Nothing of the file can be used."""

    kind: Literal["refused"] = "refused"
    message: str


Message = Annotated[Opened | Frame | Ended | Refused, Field(discriminator="kind")]
MESSAGES: TypeAdapter[Opened | Frame | Ended | Refused] = TypeAdapter(Message)
