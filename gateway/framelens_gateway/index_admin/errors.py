"""How `framelens-index` can fail.

AdminError
├── Refused        what was asked for would do harm, or makes no sense as things stand; nothing was switched
├── CropUnusable   a row whose crop is gone or broken, so that it cannot be embedded anew
└── Busy           another command works on this alias

Besides these, what the gateway's own seams raise: Unavailable and DeadlineExceeded of framelens_gateway.errors.
"""

from collections.abc import Mapping
from typing import Any


class AdminError(Exception):
    pass


class Refused(AdminError):
    pass


class CropUnusable(AdminError):
    def __init__(self, row: Mapping[str, Any], what: str) -> None:
        if "product_id" in row:
            owner, mended = f"product {row['product_id']}", "upsert or delete this product"
        else:
            owner, mended = f"video {row['video_id']}", "delete this video or index it again"
        super().__init__(f"{owner} has no usable crop {row['picture_id']} ({what}); {mended}, then repeat the command")


class Busy(AdminError):
    pass
