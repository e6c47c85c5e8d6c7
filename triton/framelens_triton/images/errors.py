"""What can be wrong with one picture.

PictureError
├── InvalidPicture       it is of a known format and broken, or too small to hold anything
├── UnsupportedFormat    it is not a picture of a format that FrameLens reads
├── PictureTooLarge      more bytes or pixels than the limits allow
└── InvalidRegion        a region that is not inside the picture, or covers no pixel

`reason` is the word of the contract (framelens_client.reasons) for the same fault.
"""


class PictureError(Exception):
    """One picture cannot be used; its neighbours in a batch are not touched."""

    reason = "INVALID_PICTURE"


class InvalidPicture(PictureError):
    pass


class UnsupportedFormat(PictureError):
    reason = "UNSUPPORTED_FORMAT"


class PictureTooLarge(PictureError):
    reason = "PICTURE_TOO_LARGE"


class InvalidRegion(PictureError):
    reason = "INVALID_REGION"
