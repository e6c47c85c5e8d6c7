"""Decodes a picture to RGB as displayed, no larger than needed and never before its header was checked."""

import io
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose
from PIL.TiffImagePlugin import TiffImageFile

from framelens_triton.images.boxes import Box
from framelens_triton.images.errors import InvalidPicture, PictureError, PictureTooLarge, UnsupportedFormat
from framelens_triton.images.jpeg_scans import has_more_scans

# Limits below check the header's pixel count for every format; Pillow's own guess would only warn.
Image.MAX_IMAGE_PIXELS = None
# What is wrong with a picture is said to its sender. Pillow would also warn, once a process, of odd metadata.
warnings.filterwarnings("ignore", module=r"PIL\.")

# JPEG includes MPO, which many phones write: a JPEG with a preview behind it.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_FORMAT_NAMES = "JPEG, PNG, WebP, GIF, BMP or TIFF"
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_ORIENTATION_TAG = 0x0112
# What makes a picture of each EXIF orientation (TIFF 6.0, tag 274) upright; a quarter turn swaps width and height.
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
QUARTER_TURNS = (5, 6, 7, 8)
_TILE_WIDTH_TAG, _TILE_LENGTH_TAG = 322, 323
# Which orientations bring the last column to the left, and the last row to the top.
_COLUMNS_END_LEFT = (2, 3, 6, 7)
_ROWS_END_TOP = (3, 4, 7, 8)
# A picture is reduced by one of these; libjpeg does so by leaving out DCT coefficients.
_REDUCTIONS = (8, 4, 2)
# The shorter side that a frame keeps: over the detector's input, so that most objects keep enough for the embedder too.
_FRAME_SIDE = 480
# The shorter side that a region keeps: the default embedder's input.
REGION_SIDE = 224
# Pictures that are decoded to more pixels than this are used one after the other: their memory adds up.
_LARGE_PIXELS = 8_000_000
_one_large = threading.RLock()
# What a batch keeps of each picture while engines run; the limit on pixels keeps every picture within the last factor.
KEPT_PIXELS = 4_000_000
_KEPT_REDUCTIONS = (1, 2, 4, 8, 16, 32, 64, 128)
_WHOLE = Box(0.0, 0.0, 1.0, 1.0)
# A progressive JPEG of 20 kB can ask for hundreds of scans over all its pixels; libtiff draws its line here too.
_MAX_SCANS = 100


@dataclass(frozen=True)
class Limits:
    """What is refused before a pixel is decoded."""

    max_bytes: int = 20 * 2**20
    max_pixels: int = 50_000_000
    min_side: int = 16


@dataclass(frozen=True)
class View:
    """A picture as displayed, `width` x `height` at full size, and how pixels show it: reduced by `reduction`.

    `extent` is where the picture lies in its pixels, in 0..1 of them: where the reduction does not divide the size, the
    last row and column reach over the picture's edge.
    """

    width: int
    height: int
    reduction: int = 1
    extent: Box = _WHOLE

    def in_pixels(self, box: Box) -> Box:
        """A box in 0..1 of the picture, in 0..1 of its pixels."""
        x, y, width, height = self.extent.x_min, self.extent.y_min, self.extent.width, self.extent.height
        return Box(x + box.x_min * width, y + box.y_min * height, x + box.x_max * width, y + box.y_max * height)

    def from_pixels(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Boxes [n, 4] in 0..1 of the pixels, in 0..1 of the picture, clipped."""
        offset = np.array([self.extent.x_min, self.extent.y_min] * 2, np.float32)
        return ((boxes - offset) / np.array([self.extent.width, self.extent.height] * 2, np.float32)).clip(0, 1)

    def shows(self, regions: Sequence[Box], region_side: int = REGION_SIDE) -> bool:
        """Whether decoding it for these regions would give no more pixels of them."""
        return self.reduction <= reduction_for(self.width, self.height, regions, region_side)


@dataclass(frozen=True)
class Picture(View):
    """A picture and its RGB pixels."""

    pixels: Image.Image = field(kw_only=True)

    def kept_small(self) -> "Picture":
        """The same picture, reduced where it is too large to be kept while engines run."""
        columns, rows = self.pixels.size
        factor = next(n for n in _KEPT_REDUCTIONS if columns * rows <= KEPT_PIXELS * n * n)
        if factor == 1:
            return self
        pixels = self.pixels.reduce(factor)
        x, y = columns / (factor * pixels.width), rows / (factor * pixels.height)
        extent = Box(self.extent.x_min * x, self.extent.y_min * y, self.extent.x_max * x, self.extent.y_max * y)
        return Picture(self.width, self.height, self.reduction * factor, extent, pixels=pixels)


def decode(
    data: bytes, limits: Limits, regions: Sequence[Box] | None = None, region_side: int = REGION_SIDE
) -> Picture:
    """Decodes the first frame of an encoded picture, orientation applied, transparency over white.

    It is reduced as far as the frame, or each region's shorter side, keeps enough pixels for the engines.
    Raises PictureError.
    """
    with decoded(data, limits, regions, region_side) as picture:
        return picture


@contextmanager
def decoded(
    data: bytes, limits: Limits, regions: Sequence[Box] | None = None, region_side: int = REGION_SIDE
) -> Iterator[Picture]:
    """Like `decode`; while a large picture is in use here, no other large one is decoded. Raises PictureError."""
    image = opened(data, limits)
    with ExitStack() as turn:
        try:
            check_work(image, data, limits)
            picture = _decoded(image, regions, region_side, turn)
        except PictureError:
            raise
        except MemoryError as error:
            raise PictureTooLarge(
                f"a picture of {image.width}x{image.height} pixels does not fit into memory"
            ) from error
        except Exception as error:  # Pillow's decoders share no base but this one; a miss would fail the whole batch.
            raise InvalidPicture(
                f"the {image.format} picture is broken or truncated; send it again or save it anew"
            ) from error
        yield picture


def _decoded(image: Image.Image, regions: Sequence[Box] | None, region_side: int, turn: ExitStack) -> Picture:
    if image.format == "PNG":
        _load(image, turn)  # Its EXIF may lie behind its pixels.
    orientation = orientation_of(image)
    stored = image.size
    width, height = stored[::-1] if orientation in QUARTER_TURNS else stored
    reduction = reduction_for(width, height, regions, region_side)
    if reduction > 1:
        image.draft(None, (stored[0] // reduction, stored[1] // reduction))
    _load(image, turn)
    rest = reduction if image.size == stored else 1
    pixels = _to_rgb(image, rest)
    extent = extent_of(stored, reduction, pixels.size, orientation)
    upright = pixels.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else pixels
    return Picture(width, height, reduction, extent, pixels=upright)


def _load(image: Image.Image, turn: ExitStack) -> None:
    """A large picture waits for its turn, and keeps it until `turn` is closed."""
    if image.width * image.height > _LARGE_PIXELS:
        turn.enter_context(_one_large)
    image.load()


def extent_of(stored: tuple[int, int], reduction: int, pixels: tuple[int, int], orientation: int) -> Box:
    """Where the stored picture, reduced and turned upright, lies in its pixels."""
    beyond_x, beyond_y = (1 - size / reduction / count for size, count in zip(stored, pixels, strict=True))
    if orientation in QUARTER_TURNS:
        beyond_x, beyond_y = beyond_y, beyond_x
    left = beyond_x if orientation in _COLUMNS_END_LEFT else 0.0
    top = beyond_y if orientation in _ROWS_END_TOP else 0.0
    return Box(left, top, left + 1 - beyond_x, top + 1 - beyond_y)


def opened(data: bytes, limits: Limits) -> Image.Image:
    """A picture whose header passes the limits; nothing of it is decoded. Raises PictureError."""
    if not data:
        raise InvalidPicture("the picture is empty (0 bytes); send an encoded picture")
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(f"the picture has {len(data)} bytes; the limit is {limits.max_bytes}")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        if data.startswith(_MAGIC):
            raise InvalidPicture("the picture's header is broken; send it again or save it anew") from error
        raise UnsupportedFormat(f"the data is not a picture in {_FORMAT_NAMES}") from error
    except Exception as error:  # As above.
        raise InvalidPicture("the picture's header is broken; send it again or save it anew") from error
    _check_size(image.width, image.height, limits)
    return image


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise PictureTooLarge(
            f"the picture has {width}x{height} = {width * height} pixels; the limit is {limits.max_pixels}"
        )
    if min(width, height) < limits.min_side:
        raise InvalidPicture(
            f"the picture is {width}x{height} pixels; at least {limits.min_side} are needed on each side"
        )


def check_work(image: Image.Image, data: bytes, limits: Limits) -> None:
    """Refuses a picture that is small by its header and not by what its decoder must do."""
    if image.format in ("JPEG", "MPO") and has_more_scans(data, _MAX_SCANS):
        raise InvalidPicture(f"the JPEG picture has more than {_MAX_SCANS} scans; save it as a baseline JPEG")
    if isinstance(image, TiffImageFile):
        tile = image.tag_v2.get(_TILE_WIDTH_TAG, 1), image.tag_v2.get(_TILE_LENGTH_TAG, 1)
        if tile[0] * tile[1] > limits.max_pixels:
            raise PictureTooLarge(f"the TIFF picture has tiles of {tile[0]}x{tile[1]} pixels; save it without tiles")


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation; 1 (upright) where there is none, or none that can be read: viewers show such a picture too."""
    if image.format == "TIFF":
        return 1  # Pillow turns these upright by itself, and says the displayed size.
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # As above.
        return 1


def reduction_for(width: int, height: int, regions: Sequence[Box] | None, region_side: int) -> int:
    """The largest at which every part that is looked at keeps enough pixels."""
    if regions is None:
        room = min(width, height) / _FRAME_SIDE
    else:
        room = min((min(r.width * width, r.height * height) for r in regions), default=1) / region_side
    return next((reduction for reduction in _REDUCTIONS if reduction <= room), 1)


def _to_rgb(image: Image.Image, reduction: int) -> Image.Image:
    """Transparent pixels have no say in what a reduced pixel looks like, so alpha is multiplied in before."""
    if image.mode in ("I", "F"):
        raise UnsupportedFormat("the picture has 32 bits a channel; send 8 or 16")
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _over_white(_reduced(image.convert("RGBA").convert("RGBa"), reduction).convert("RGBA"))
    return _reduced(image if image.mode == "RGB" else image.convert("RGB"), reduction)


def _reduced(image: Image.Image, reduction: int) -> Image.Image:
    return image.reduce(reduction) if reduction > 1 else image


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")
