"""Decoding: every kind of picture as it is displayed, at no more pixels than are needed."""

import io
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageChops, ImageOps

from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import Limits, decode, decoded
from framelens_triton.images.errors import UnsupportedFormat
from framelens_triton.images.resize import Fit, crop_to_input, cut, frame_to_input

LIMITS = Limits()
ORIENTATION = 0x0112
# As in test_decode_hostile: pytest's own filters come before those of the module under test.
pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

Encode = Callable[..., bytes]
Pixels = npt.NDArray[np.int16]


def pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture, np.int16)


def difference(picture: Image.Image, other: Image.Image) -> float:
    """Mean over all channels of all pixels, in 0..255."""
    assert picture.size == other.size
    return float(np.abs(pixels(picture) - pixels(other)).mean())


def psnr(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


def stored(picture: Image.Image, orientation: int) -> tuple[Image.Image, Image.Exif]:
    """Pixels and EXIF of a file that shows `picture` once it is turned as its EXIF says."""
    exif = Image.Exif()
    exif[ORIENTATION] = {6: 8, 8: 6}.get(orientation, orientation)
    turned = picture.copy()
    turned.info["exif"] = exif.tobytes()
    turned = ImageOps.exif_transpose(turned)
    exif[ORIENTATION] = orientation
    return turned, exif


def test_every_sample_is_read_at_its_own_size(samples: Path) -> None:
    for path in sorted(p for p in samples.iterdir() if p.suffix in (".png", ".jpg", ".gif")):
        with Image.open(path) as file:
            expected = file.size
        if min(expected) < LIMITS.min_side:
            continue
        found = decode(path.read_bytes(), LIMITS)
        assert ((found.width, found.height), found.pixels.mode) == (expected, "RGB"), path.name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("fmt", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("JPEG", {})])
def test_every_orientation_is_shown_upright(
    small: Image.Image, encode: Encode, orientation: int, fmt: str, options: dict[str, object]
) -> None:
    turned, exif = stored(small, orientation)
    data = encode(turned, fmt, exif=exif, **options)
    found = decode(data, LIMITS)
    assert (found.width, found.height) == found.pixels.size == small.size
    if fmt == "JPEG":
        with Image.open(io.BytesIO(data)) as file:
            assert difference(found.pixels, ImageOps.exif_transpose(file)) == 0
        assert difference(found.pixels, small) < 6
    else:
        assert difference(found.pixels, small) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_region_is_meant_as_displayed_even_at_a_fraction(
    sample: Callable[[str], Image.Image], encode: Encode, orientation: int
) -> None:
    scene = sample("coffee.png").resize((1800, 1200), Image.Resampling.BICUBIC)
    turned, exif = stored(scene, orientation)
    region = Box(0.3, 0.1, 0.7, 0.6)
    found = decode(encode(turned, "JPEG", exif=exif, quality=90), LIMITS, [region])
    assert (found.width, found.height) == (1800, 1200)
    assert found.pixels.size == (900, 600)
    ours, expected = (crop_to_input(p, region, 224, 224, Fit.STRETCH) for p in (found.pixels, scene))
    assert psnr(ours, expected) > 34


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(small: Image.Image, encode: Encode, value: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    assert decode(encode(small, "JPEG", exif=exif), LIMITS).pixels.size == small.size


@pytest.mark.parametrize(
    "garbage", [b"", b"II*\0", b"no TIFF header", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_does_not_spoil_a_picture(small: Image.Image, encode: Encode, garbage: bytes, fmt: str) -> None:
    found = decode(encode(small, fmt, exif=b"Exif\0\0" + garbage), LIMITS)
    assert difference(found.pixels, small) < 6


@pytest.mark.parametrize(
    ("mode", "fmt", "options"),
    [
        ("L", "JPEG", {"quality": 95}),
        ("L", "PNG", {}),
        ("1", "PNG", {}),
        ("1", "TIFF", {"compression": "group4"}),
        ("1", "BMP", {}),
        ("P", "PNG", {}),
        ("P", "GIF", {}),
        ("P", "BMP", {}),
        ("CMYK", "JPEG", {"quality": 95}),
        ("CMYK", "TIFF", {}),
        ("YCbCr", "TIFF", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "jpeg", "quality": 95}),
        ("RGB", "WEBP", {"quality": 95}),
    ],
)
def test_every_mode_keeps_its_colours(
    small: Image.Image, encode: Encode, mode: str, fmt: str, options: dict[str, object]
) -> None:
    converted = small.convert(mode)
    found = decode(encode(converted, fmt, **options), LIMITS).pixels
    assert found.mode == "RGB"
    assert difference(found, converted.convert("RGB")) < 3


def adobe(data: bytes) -> int:
    """Where the APP14 segment starts: 2 bytes of marker, 2 of length, `Adobe`, ..., and a byte for the transform."""
    return data.index(b"\xff\xee\x00\x0eAdobe")


def test_cmyk_jpegs_are_inverted_with_and_without_adobes_mark(small: Image.Image, encode: Encode) -> None:
    """Browsers and Photoshop take every CMYK JPEG for an inverted one."""
    data = encode(small.convert("CMYK"), "JPEG", quality=95)
    at = adobe(data)
    marked, plain = decode(data, LIMITS).pixels, decode(data[:at] + data[at + 16 :], LIMITS).pixels
    assert difference(marked, small) < 3
    assert difference(plain, marked) == 0


def test_ycck_is_what_adobes_mark_says_it_is(small: Image.Image, encode: Encode) -> None:
    # Pillow stores the inverse of inks; the inverse of luminance and chroma is that of the inverse picture.
    inks = Image.merge("CMYK", [*small.convert("YCbCr").split(), Image.new("L", small.size)])
    data = bytearray(encode(inks, "JPEG", quality=95, subsampling=0))
    data[adobe(bytes(data)) + 15] = 2
    assert difference(decode(bytes(data), LIMITS).pixels, small) < 5


@pytest.mark.parametrize("alpha", [0, 77, 255])
@pytest.mark.parametrize(("mode", "fmt"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF")])
def test_transparency_is_shown_over_white(small: Image.Image, encode: Encode, alpha: int, mode: str, fmt: str) -> None:
    opaque = small.convert(mode[:-1]).convert("RGB")
    clear = opaque.convert(mode)
    clear.putalpha(alpha)
    options = {"lossless": True, "exact": True} if fmt == "WEBP" else {}
    white = Image.new("RGB", small.size, "white")
    assert difference(decode(encode(clear, fmt, **options), LIMITS).pixels, Image.blend(white, opaque, alpha / 255)) < 1


@pytest.mark.parametrize(("mode", "fmt"), [("P", "PNG"), ("P", "GIF"), ("L", "PNG"), ("RGB", "PNG"), ("1", "PNG")])
def test_a_colour_that_is_declared_transparent_is_white(
    small: Image.Image, encode: Encode, mode: str, fmt: str
) -> None:
    picture = small.quantize(16) if mode == "P" else small.convert(mode)
    key = picture.getpixel((5, 5))
    found = pixels(decode(encode(picture, fmt, transparency=key), LIMITS).pixels)
    cleared = (np.asarray(picture).reshape(100, 150, -1) == np.array(key)).all(axis=2)
    assert cleared.any()
    assert (found[cleared] == 255).all()
    if not cleared.all():
        np.testing.assert_array_equal(found[~cleared], pixels(picture.convert("RGB"))[~cleared])


def test_a_palette_of_half_transparent_colours_is_blended(encode: Encode) -> None:
    picture = Image.new("P", (32, 32), 1)
    picture.putpalette([0, 0, 0, 200, 100, 0])
    found = decode(encode(picture, "PNG", transparency=bytes([255, 128])), LIMITS).pixels
    assert found.getpixel((9, 9)) == pytest.approx((227, 177, 127), abs=1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_scaled_not_clipped(small: Image.Image, channels: int) -> None:
    expected = small.convert("L").convert("RGB") if channels == 1 else small
    deep = np.asarray(expected)[..., ::-1].astype(np.uint16) * 257
    deep = deep[..., 0] if channels == 1 else deep
    if channels == 4:
        deep = np.dstack([deep, np.full(deep.shape[:2], 65535, np.uint16)])
    done, data = cv2.imencode(".png", deep)
    assert done
    assert difference(decode(data.tobytes(), LIMITS).pixels, expected) == 0


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_refused(small: Image.Image, encode: Encode, mode: str) -> None:
    with pytest.raises(UnsupportedFormat, match="32 bits"):
        decode(encode(small.convert("L").convert(mode), "TIFF"), LIMITS)


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_picture_of_several_is_shown(small: Image.Image, encode: Encode, fmt: str) -> None:
    data = encode(small, fmt, save_all=True, append_images=[ImageChops.invert(small), small.rotate(90)])
    with Image.open(io.BytesIO(data)) as file:
        assert file.n_frames == 3
    assert difference(decode(data, LIMITS).pixels, small) < 6


def test_a_progressive_jpeg_is_the_same_picture(small: Image.Image, encode: Encode) -> None:
    plain, progressive = (decode(encode(small, "JPEG", progressive=p), LIMITS).pixels for p in (False, True))
    assert difference(plain, progressive) == 0


@pytest.mark.parametrize("size", [(1280, 720), (4000, 3000), (641, 641), (300, 300), (320, 5000), (2559, 2600)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_keeps_enough_pixels_for_the_detector_and_few_more(
    encode: Encode, size: tuple[int, int], mode: str
) -> None:
    found = decode(encode(Image.new(mode, size), "JPEG"), LIMITS)
    assert (found.width, found.height) == size
    assert min(found.pixels.size) >= min(480, *size)
    assert min(found.pixels.size) <= 2 * 480 or min(size) > 8 * 480


@pytest.mark.parametrize("side", [0.01, 0.1, 0.3, 1.0])
def test_a_region_keeps_enough_pixels_for_the_embedder(encode: Encode, side: float) -> None:
    data = encode(Image.new("RGB", (4000, 3000)), "JPEG")
    found = decode(data, LIMITS, [Box(0.0, 0.0, 1.0, 1.0), Box(0.0, 0.0, side, side)])
    assert side * min(found.pixels.size) >= min(224, side * 3000)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
def test_a_size_that_does_not_divide_moves_no_box(encode: Encode, orientation: int, fmt: str) -> None:
    """The last row and column of a reduced picture reach over its edge, and turn with it."""
    width, height = 513, 521
    across, down = (np.arange(width) + 0.5) / width * 255, (np.arange(height) + 0.5) / height * 255
    scene = np.zeros((height, width, 3), np.uint8)
    scene[..., 0], scene[..., 1] = across[None, :].round(), down[:, None].round()
    turned, exif = stored(Image.fromarray(scene), orientation)
    data = encode(turned, fmt, exif=exif, quality=100, subsampling=0)
    found = decode(data, LIMITS, [Box(0, 0, 1, 1)], region_side=64)
    assert (found.reduction, max(found.pixels.size)) == (8, 66)
    for box in (Box(0.1, 0.15, 0.3, 0.4), Box(0.7, 0.65, 0.9, 0.9)):
        red, green, _ = crop_to_input(found.pixels, found.in_pixels(box), 32, 32, Fit.STRETCH).mean(axis=(0, 1))
        assert red / 255 == pytest.approx((box.x_min + box.x_max) / 2, abs=0.004)
        assert green / 255 == pytest.approx((box.y_min + box.y_max) / 2, abs=0.004)
        back = found.from_pixels(np.array([found.in_pixels(box)], np.float32))
        np.testing.assert_allclose(back, [box], atol=1e-6)


@pytest.mark.parametrize(("mode", "fmt"), [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "WEBP"), ("P", "GIF")])
def test_every_format_is_reduced(sample: Callable[[str], Image.Image], encode: Encode, mode: str, fmt: str) -> None:
    scene = sample("coffee.png").resize((3600, 2400), Image.Resampling.BICUBIC)
    found = decode(encode(scene.convert(mode), fmt), LIMITS)
    assert (found.reduction, found.pixels.size) == (4, (900, 600))
    expected = scene.convert(mode).convert("RGB").resize((900, 600), Image.Resampling.BOX)
    assert difference(found.pixels, expected) < 3


def test_transparent_pixels_have_no_say_in_a_reduced_one(encode: Encode) -> None:
    picture = Image.new("RGBA", (2000, 2000), (0, 255, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 1001, 2000))
    found = decode(encode(picture, "PNG"), LIMITS).pixels
    assert found.getpixel((250, 250)) == pytest.approx((255, 128, 128), abs=130)
    assert found.getpixel((250, 250))[1] == found.getpixel((250, 250))[2]


def test_no_region_at_all_is_no_error(small: Image.Image, encode: Encode) -> None:
    assert decode(encode(small, "JPEG"), LIMITS, []).pixels.size == small.size


@pytest.mark.parametrize("name", ["coffee.png", "astronaut.png", "motorcycle_left.png"])
@pytest.mark.parametrize("times", [2, 4, 8])
def test_a_scaled_decode_shows_the_engines_the_same_picture(
    sample: Callable[[str], Image.Image], encode: Encode, name: str, times: int
) -> None:
    side = 480 * times
    scene = sample(name).resize((side * 4 // 3, side), Image.Resampling.BICUBIC)
    data = encode(scene, "JPEG", quality=85)
    with Image.open(io.BytesIO(data)) as full:
        expected, _ = frame_to_input(full.convert("RGB"), 300, 300, Fit.STRETCH)
    found = decode(data, LIMITS).pixels
    assert found.height == 480
    assert psnr(frame_to_input(found, 300, 300, Fit.STRETCH)[0], expected) > 30
    assert cut(found, Box(0, 0, 1, 1)).size == found.size


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_that_is_kept_small_shows_the_same(encode: Encode, orientation: int) -> None:
    """Sizes that no reduction divides: boxes still mean the same places."""
    shades = np.tile(np.arange(2713) * 255 // 2713, (2309, 1)).astype(np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encode(Image.fromarray(shades).convert("RGB"), "JPEG", exif=exif, quality=95)
    found = decode(data, LIMITS, [Box(0.0, 0.0, 0.01, 0.01)])
    kept = found.kept_small()
    assert (found.reduction, kept.reduction) == (1, 2)
    box = Box(0.25, 0.25, 0.75, 0.75)
    large, small = (crop_to_input(each.pixels, each.in_pixels(box), 64, 64, Fit.STRETCH) for each in (found, kept))
    assert np.abs(large.astype(int) - small).max() <= 2


def test_large_pictures_wait_for_each_other(encode: Encode) -> None:
    data = encode(Image.new("L", (3000, 3000)), "PNG")
    other = threading.Thread(target=lambda: decode(data, LIMITS))
    with decoded(data, LIMITS):
        other.start()
        other.join(1)
        assert other.is_alive()
        decode(encode(Image.new("L", (300, 300)), "PNG"), LIMITS)
    other.join(10)
    assert not other.is_alive()
