"""What the models are asked: feed frames as JPEGs, or their pixels at an engine's size."""

import base64
import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tritonclient.grpc import InferInput

from framelens_triton.images.resize import Fit, frame_to_input

PICTURE, IMAGES = "picture", "images"


@dataclass(frozen=True)
class ModelInput:
    """One input tensor of a model and the values to ask with in turn, each without its batch dimension.

    A value is the bytes of an encoded picture (BYTES) or of uint8 pixels in row-major order (UINT8).
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: tuple[bytes, ...]

    def tensor(self, value: bytes) -> InferInput:
        """One value as a batch of one."""
        tensor = InferInput(self.name, [1, *self.shape], self.datatype)
        if self.datatype == "BYTES":
            tensor.set_data_from_numpy(np.array([[value]], np.object_))
        else:
            tensor.set_data_from_numpy(np.frombuffer(value, np.uint8).reshape(1, *self.shape))
        return tensor


def pictures(frames: Sequence[bytes]) -> ModelInput:
    return ModelInput(PICTURE, "BYTES", (1,), tuple(frames))


def pixels(frames: Sequence[bytes], height: int, width: int) -> ModelInput:
    """Whole frames, resized as serving does."""
    values = tuple(_pixels(frame, height, width) for frame in frames)
    return ModelInput(IMAGES, "UINT8", (height, width, 3), values)


def write_input(asked: ModelInput, path: Path) -> None:
    """As perf_analyzer's --input-data reads it: one step for each value, sent in turn."""
    steps = [
        {asked.name: {"content": {"b64": _encoded(asked.datatype, value)}, "shape": asked.shape}}
        for value in asked.values
    ]
    path.write_text(json.dumps({"data": steps}))


def _pixels(frame: bytes, height: int, width: int) -> bytes:
    with Image.open(io.BytesIO(frame)) as picture:
        return frame_to_input(picture.convert("RGB"), height, width, Fit.STRETCH)[0].tobytes()


def _encoded(datatype: str, value: bytes) -> str:
    """A string travels behind its length in four bytes, little-endian; pixels as they are."""
    content = struct.pack("<I", len(value)) + value if datatype == "BYTES" else value
    return base64.b64encode(content).decode()
