"""Broken, hostile and odd pictures: a clear error, or an answer."""

import io
import struct
import zlib
from collections.abc import Callable

import httpx
import pytest
from PIL import Image

from framelens_client import Box, Client, InvalidRequest

WHOLE = Box(0.0, 0.0, 1.0, 1.0)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def encoded(picture: Image.Image, fmt: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, fmt, **options)
    return buffer.getvalue()


BROKEN = {
    "empty": (b"", "INVALID_PICTURE", 400),
    "no picture": (b"GET / HTTP/1.1", "UNSUPPORTED_FORMAT", 415),
    "pdf": (b"%PDF-1.7\n1 0 obj", "UNSUPPORTED_FORMAT", 415),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "UNSUPPORTED_FORMAT", 415),
    "only a JPEG's first bytes": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "INVALID_PICTURE", 400),
    "1x1": (encoded(Image.new("RGB", (1, 1)), "PNG"), "INVALID_PICTURE", 400),
    "decompression bomb": (png_claiming(60_000, 60_000), "PICTURE_TOO_LARGE", 413),
    "too many bytes": (b"\xff\xd8\xff" + bytes(21 * 2**20), "PICTURE_TOO_LARGE", 413),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_picture_gets_a_clear_error_on_both_faces(client: Client, stack: object, name: str) -> None:
    picture, reason, status = BROKEN[name]
    with pytest.raises(InvalidRequest) as caught:
        client.recognize(picture)
    assert caught.value.reason == reason
    answer = httpx.post(f"http://{stack['http']}/v1/recognize", files={"picture": picture}, timeout=30)
    assert (answer.status_code, answer.json()["error"]["reason"]) == (status, reason)
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_truncated_picture_is_refused(client: Client, jpeg: Callable, fmt: str, share: float) -> None:
    whole = jpeg("coffee.png", fmt=fmt)
    with pytest.raises(InvalidRequest) as caught:
        client.recognize(whole[: int(len(whole) * share)])
    assert caught.value.reason == "INVALID_PICTURE"


@pytest.mark.parametrize(
    ("mode", "fmt"),
    [("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("P", "GIF"), ("RGB", "WEBP")],
)
def test_odd_modes_are_read(client: Client, jpeg: Callable, mode: str, fmt: str) -> None:
    assert "cup" in {found.label for found in client.recognize(jpeg("coffee.png", mode, fmt)).objects}


def test_sixteen_bits_a_pixel_are_read(client: Client, sample: Callable) -> None:
    with Image.open(io.BytesIO(sample("camera.png"))) as picture:
        wide = picture.convert("L").convert("I").point(lambda value: value * 257).convert("I;16")
    answer = client.recognize(encoded(wide, "PNG"))
    assert "person" in {found.label for found in answer.objects}


def test_the_first_frame_of_an_animation_counts(client: Client, sample: Callable) -> None:
    with Image.open(io.BytesIO(sample("coffee.png"))) as picture:
        frames = [picture.convert("RGB"), Image.new("RGB", picture.size, "white")]
    animation = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100)
    assert "cup" in {found.label for found in client.recognize(animation).objects}


@pytest.mark.parametrize(
    "region",
    [
        Box(0.5, 0.0, 0.2, 1.0),
        Box(0.0, 0.0, 0.0, 1.0),
        Box(-0.1, 0.0, 0.5, 0.5),
        Box(0.0, 0.0, 1.5, 1.0),
        Box(float("nan"), 0.0, 1.0, 1.0),
        Box(0.0, 0.0, float("inf"), 1.0),
        Box(0.5, 0.5, 0.5001, 0.5001),
    ],
)
def test_a_wrong_region_is_refused(client: Client, sample: Callable, region: Box) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.search_region(sample("coffee.png"), region)
    assert caught.value.reason == "INVALID_REGION"


def test_an_unknown_filter_field_is_refused(stack: object, sample: Callable) -> None:
    answer = httpx.post(
        f"http://{stack['http']}/v1/recognize",
        files={"picture": sample("coffee.png")},
        data={"request": '{"search": {"filter": {"colour": "red"}}}'},
        timeout=30,
    )
    assert (answer.status_code, answer.json()["error"]["reason"]) == (400, "INVALID_FILTER")
    assert "colour" in answer.json()["error"]["message"]
