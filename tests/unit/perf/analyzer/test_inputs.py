"""What perf_analyzer is told to send: JPEGs behind their length, pixels as serving resizes them."""

import base64
import io
import json
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from framelens_perf.analyzer.inputs import ModelInput, pictures, pixels, write_input


def jpeg(color: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 60), color).save(buffer, "JPEG")
    return buffer.getvalue()


FRAMES = [jpeg((255, 0, 0)), jpeg((0, 0, 255))]


def steps(asked: ModelInput, tmp_path: Path) -> list[dict]:
    write_input(asked, tmp_path / "input.json")
    return json.loads((tmp_path / "input.json").read_text())["data"]


def test_pictures_travel_behind_their_length(tmp_path: Path) -> None:
    written = steps(pictures(FRAMES), tmp_path)
    contents = [base64.b64decode(step["picture"]["content"]["b64"]) for step in written]
    assert contents == [struct.pack("<I", len(frame)) + frame for frame in FRAMES]
    assert written[0]["picture"]["shape"] == [1]


def test_pixels_have_the_engine_s_size(tmp_path: Path) -> None:
    asked = pixels(FRAMES, 30, 20)
    written = steps(asked, tmp_path)
    assert written[0]["images"]["shape"] == [30, 20, 3]
    content = base64.b64decode(written[1]["images"]["content"]["b64"])
    image = np.frombuffer(content, np.uint8).reshape(30, 20, 3)
    assert image[15, 10].tolist() == np.asarray(Image.open(io.BytesIO(FRAMES[1])))[30, 20].tolist()


def test_tensors_are_batches_of_one() -> None:
    assert pictures(FRAMES).tensor(FRAMES[0]).shape() == [1, 1]
    asked = pixels(FRAMES, 30, 20)
    assert asked.tensor(asked.values[0]).shape() == [1, 30, 20, 3]
