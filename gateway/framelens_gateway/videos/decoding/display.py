"""A decoded frame as a person sees it: upright, with square pixels, in 8 bits."""

import io
from functools import cache

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from PIL import Image, ImageCms

from framelens_gateway.videos.decoding.choice import THUMBNAIL, Thumbnail

# Enough for the crops that are kept, and for the colours of what is in view.
_LONG_SIDE, _SMALL_LONG_SIDE = 1280, 256
_JPEG_QUALITY = 88
# Transfer characteristics of ITU-T H.273: SMPTE ST 2084 (PQ) and ARIB STD-B67 (HLG).
_PQ, _HLG = 16, 18
# Of PQ's 10,000 cd/m2: what a screen of standard range shows as white (ITU-R BT.2408).
_WHITE = 203 / 10_000


def thumbnail(frame: VideoFrame) -> Thumbnail:
    small = frame.reformat(*THUMBNAIL, format="gray8", interpolation="FAST_BILINEAR")
    return np.ascontiguousarray(small.to_ndarray())


def displayed_size(frame: VideoFrame, pixel_aspect: float) -> tuple[int, int]:
    """Width and height in square pixels, upright."""
    width, height = round(frame.width * pixel_aspect), frame.height
    return (height, width) if frame.rotation % 180 else (width, height)


def displayed(frame: VideoFrame, pixel_aspect: float) -> Image.Image:
    """The frame as displayed, its longer side at most 1280 pixels. Raises FFmpegError."""
    width, height = round(frame.width * pixel_aspect), frame.height
    scale = min(1.0, _LONG_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(_in_8_bits(frame, *size))
    if frame.rotation % 360:
        # The display matrix turns counter-clockwise, and so does Pillow.
        picture = picture.rotate(frame.rotation, expand=True)
    return picture


def as_jpeg(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=_JPEG_QUALITY)
    return encoded.getvalue()


def small_lab(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """CIELAB [height, width, 3], the longer side at most 256 pixels: L in 0..255, a and b around 128."""
    scale = min(1.0, _SMALL_LONG_SIDE / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.BOX, reducing_gap=1.0)
    lab = np.array(ImageCms.applyTransform(small, _to_lab()))
    # Pillow's a and b are signed.
    lab[..., 1:] ^= 0x80
    return lab


@cache
def _to_lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")


def _in_8_bits(frame: VideoFrame, width: int, height: int) -> npt.NDArray[np.uint8]:
    """RGB; high dynamic range is brought into what a screen of standard range shows."""
    if frame.color_trc not in _TONES:
        return np.asarray(frame.reformat(width, height, format="rgb24", interpolation="AREA").to_ndarray(), np.uint8)
    deep = frame.reformat(width, height, format="rgb48le", interpolation="AREA").to_ndarray()
    return _TONES[frame.color_trc][deep]


def _tone_table(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """From light relative to white to 8 bits: Reinhard's curve, extended so that 16 times white does not clip."""
    mapped = linear * (1 + linear / 16**2) / (1 + linear)
    return np.round(255 * np.clip(mapped * 1.5, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def _pq_to_linear(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """SMPTE ST 2084, relative to white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return np.asarray((np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) / _WHITE, np.float64)


def _hlg_to_linear(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """ARIB STD-B67; white at a signal of .75 (ITU-R BT.2408)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(scene / ((np.exp((0.75 - c) / a) + b) / 12), np.float64)


_SIGNAL = np.arange(65536) / 65535
_TONES = {_PQ: _tone_table(_pq_to_linear(_SIGNAL)), _HLG: _tone_table(_hlg_to_linear(_SIGNAL))}
