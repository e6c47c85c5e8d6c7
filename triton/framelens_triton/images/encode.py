"""Encodes the crops that are kept with what is indexed, so that a new space never needs the original pictures."""

import io

from PIL import Image

# Over the largest default embedder's input (260), so that a later space loses nothing.
CROP_MAX_SIDE = 448
# What `decode` takes at the least.
CROP_MIN_SIDE = 16
_QUALITY = 95


def encode_crop(crop: Image.Image) -> bytes:
    """A JPEG whose embedding is that of the crop within the noise of any other JPEG."""
    buffer = io.BytesIO()
    crop.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()
