"""Decoding into a GPU's memory, with Pillow in nvImageCodec's place: what goes where, and what comes out."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from host_gpu import HostGpu, PillowJpegs
from PIL import Image

from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import Limits, decode
from framelens_triton.images.errors import PictureError
from framelens_triton.images.gpu_decode import GpuDecoder, GpuPicture, Wanted
from framelens_triton.images.gpu_resize import GpuResizer
from framelens_triton.images.jpeg_scans import is_complete

LIMITS = Limits()
Sample = Callable[[str], Image.Image]
Encode = Callable[..., bytes]


@pytest.fixture
def jpegs() -> PillowJpegs:
    return PillowJpegs()


@pytest.fixture
def resizer(gpu: HostGpu) -> GpuResizer:
    return GpuResizer(gpu)


@pytest.fixture
def decoder(jpegs: PillowJpegs, resizer: GpuResizer) -> GpuDecoder:
    return GpuDecoder(jpegs, resizer)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def difference(found: GpuPicture, resizer: GpuResizer, expected: Image.Image) -> tuple[float, int]:
    """Mean and largest, in grey levels."""
    apart = np.abs(resizer.pixels(found.pixels).astype(np.int16) - np.asarray(expected))
    return float(apart.mean()), int(apart.max())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(151, 101), (1001, 963), (2003, 1000)])
def test_a_jpeg_is_the_cpus_whatever_its_orientation(
    decoder: GpuDecoder,
    jpegs: PillowJpegs,
    resizer: GpuResizer,
    sample: Sample,
    encode: Encode,
    size: tuple[int, int],
    orientation: int,
) -> None:
    data = encode(sample("coffee.png").resize(size), "JPEG", quality=90, exif=exif(orientation))
    (found,) = decoder.decode([Wanted(data, LIMITS)])
    expected = decode(data, LIMITS)
    assert isinstance(found, GpuPicture)
    assert jpegs.decoded == 1
    assert (found.width, found.height, found.reduction) == (expected.width, expected.height, expected.reduction)
    assert found.extent == pytest.approx(expected.extent)
    assert found.pixels.size == expected.pixels.size
    mean, most = difference(found, resizer, expected.pixels)
    # libjpeg reduces by leaving frequencies out, and here blocks are averaged.
    assert (mean, most) <= ((0, 0) if found.reduction == 1 else (0.6, 32))


@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "retina.jpg"])
def test_real_pictures_are_within_the_tolerance(
    decoder: GpuDecoder, resizer: GpuResizer, sample: Sample, encode: Encode, name: str
) -> None:
    data = encode(sample(name).resize((1920, 1440)), "JPEG", quality=85)
    for regions in (None, (Box(0.1, 0.1, 0.9, 0.9),)):
        (found,) = decoder.decode([Wanted(data, LIMITS, regions)])
        assert isinstance(found, GpuPicture)
        expected = decode(data, LIMITS, regions)
        assert found.reduction == expected.reduction > 1
        mean, most = difference(found, resizer, expected.pixels)
        assert mean <= 0.6
        assert most <= 32


def test_a_batch_goes_to_both_decoders_and_stays_in_order(
    decoder: GpuDecoder, jpegs: PillowJpegs, resizer: GpuResizer, small: Image.Image, encode: Encode
) -> None:
    jpeg, png = encode(small, "JPEG"), encode(small, "PNG")
    batch = [png, jpeg, jpeg[:1500], b"", b"no picture at all", encode(small.convert("L"), "JPEG")]
    found = decoder.decode([Wanted(data, LIMITS) for data in batch])
    assert jpegs.decoded == 2
    for data, each in zip(batch, found, strict=True):
        if isinstance(each, PictureError):
            with pytest.raises(type(each), match=re.escape(str(each))):
                decode(data, LIMITS)
        else:
            assert difference(each, resizer, decode(data, LIMITS).pixels) == (0, 0)
    assert [isinstance(each, PictureError) for each in found] == [False, False, True, True, True, False]


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("CMYK", {}),
        ("RGB", {"keep_rgb": True}),
    ],
)
def test_what_decoders_read_differently_is_left_to_the_cpu(
    decoder: GpuDecoder,
    jpegs: PillowJpegs,
    resizer: GpuResizer,
    small: Image.Image,
    encode: Encode,
    mode: str,
    options: dict[str, object],
) -> None:
    data = encode(small.convert(mode), "JPEG", **options)
    (found,) = decoder.decode([Wanted(data, LIMITS)])
    assert jpegs.decoded == 0
    assert isinstance(found, GpuPicture)
    assert difference(found, resizer, decode(data, LIMITS).pixels) == (0, 0)


def test_what_the_gpu_cannot_decode_the_cpu_judges(
    decoder: GpuDecoder, jpegs: PillowJpegs, resizer: GpuResizer, small: Image.Image, encode: Encode
) -> None:
    jpegs.refuses = True
    data = encode(small, "JPEG", exif=exif(6))
    (found,) = decoder.decode([Wanted(data, LIMITS)])
    assert isinstance(found, GpuPicture)
    assert difference(found, resizer, decode(data, LIMITS).pixels) == (0, 0)


@pytest.mark.parametrize(
    ("size", "limits"),
    [((15, 40), LIMITS), ((200, 200), Limits(max_pixels=30_000)), ((200, 200), Limits(max_bytes=100))],
)
def test_limits_and_their_words_are_the_cpus(
    decoder: GpuDecoder, jpegs: PillowJpegs, encode: Encode, size: tuple[int, int], limits: Limits
) -> None:
    data = encode(Image.new("RGB", size), "JPEG")
    (found,) = decoder.decode([Wanted(data, limits)])
    assert isinstance(found, PictureError)
    with pytest.raises(type(found), match=re.escape(str(found))):
        decode(data, limits)
    assert jpegs.decoded == 0


def test_a_picture_too_large_to_keep_goes_through_the_cpu(
    decoder: GpuDecoder, jpegs: PillowJpegs, encode: Encode
) -> None:
    data = encode(Image.new("RGB", (900, 9000)), "JPEG")
    (found,) = decoder.decode([Wanted(data, LIMITS)])
    assert jpegs.decoded == 0
    assert isinstance(found, GpuPicture)
    assert (found.width, found.height) == (900, 9000)
    assert found.pixels.width * found.pixels.height <= 4_000_000


def test_a_jpeg_is_complete_by_its_own_end_and_not_its_previews(small: Image.Image, encode: Encode) -> None:
    preview = encode(small.resize((16, 16)), "JPEG")
    data = encode(small, "JPEG", comment=preview)
    assert preview[-2:] in data[:-2]
    assert is_complete(data)
    assert not is_complete(data[:-2])
    assert is_complete(data + b"a video")
