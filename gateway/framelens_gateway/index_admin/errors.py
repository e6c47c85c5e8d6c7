"""How `framelens-index` can fail.

AdminError
├── Refused        what was asked for would do harm, or makes no sense as things stand; nothing was switched
├── CropUnusable   a row whose crop is gone or broken, so that it cannot be embedded anew
└── Busy           another command works on this alias

Besides these, what the gateway's own seams raise: Unavailable and DeadlineExceeded of framelens_gateway.errors.
"""


class AdminError(Exception):
    pass


class Refused(AdminError):
    pass


class CropUnusable(AdminError):
    def __init__(self, product_id: str, picture_id: str, what: str) -> None:
        super().__init__(
            f"product {product_id} has no usable crop {picture_id} ({what}); upsert or delete this product, then "
            "repeat the command"
        )


class Busy(AdminError):
    pass
