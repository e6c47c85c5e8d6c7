"""Recognition with a GPU's image operations on this machine's cores, beside recognition with the CPU's."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_gpu import HostGpu, PillowJpegs
from PIL import Image

from framelens_triton.cuda.arrays import DeviceArray
from framelens_triton.gpu_operations import GpuOperations
from framelens_triton.images.boxes import Box
from framelens_triton.images.gpu_decode import GpuDecoder
from framelens_triton.images.gpu_resize import GpuResizer
from framelens_triton.models import ModelRepository
from framelens_triton.recognition import Recognition, Recognizer, Request

CONFIG = """
name: "{name}" max_batch_size: 3 parameters {{ key: "fit" value {{ string_value: "{fit}" }} }}
input [ {{ name: "images" data_type: TYPE_UINT8 dims: [ {side}, {side}, 3 ] }} ]
"""
Sample = Callable[[str], Image.Image]


class Engines:
    """Finds two objects in every frame, and keeps every input that it is given, as this machine's memory."""

    def __init__(self, gpu: HostGpu) -> None:
        self.gpu = gpu
        self.seen: dict[str, list[np.ndarray]] = {"detector": [], "embedder_x": []}

    def infer(self, model: str, images: Any, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        pixels = self.gpu.download(images.address, images.shape) if isinstance(images, DeviceArray) else images
        self.seen[model].extend(np.array(pixels))
        n = len(pixels)
        build = np.full((n, 1), 7, np.int32)
        if model == "embedder_x":
            return {"embedding": pixels.mean(axis=(1, 2)).astype(np.float32), "build": build}
        boxes = np.tile(np.array([[[0.05, 0.1, 0.5, 0.9], [0.6, 0.55, 0.71, 0.72]]], np.float32), (n, 1, 1))
        scores, labels = np.tile(np.float32([[0.9, 0.8]]), (n, 1)), np.tile([[1, 0]], (n, 1))
        return {"boxes": boxes, "scores": scores, "labels": labels, "build": build}


@pytest.fixture(params=["stretch", "letterbox"])
def models(request: pytest.FixtureRequest, tmp_path: Path) -> ModelRepository:
    for name, side in (("detector", 300), ("embedder_x", 224)):
        (tmp_path / name / "3").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(CONFIG.format(name=name, side=side, fit=request.param))
        (tmp_path / name / "3" / "engine.json").write_text(json.dumps({"build": 7}))
    (tmp_path / "detector" / "labels.txt").write_text("cat\ncup\n")
    return ModelRepository(tmp_path)


def encoded(picture: Image.Image, fmt: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, fmt, **options)
    return buffer.getvalue()


def wanted(data: bytes, **options: Any) -> Request:
    return Request(data, "detector", "embedder_x", **options)


class Both:
    """The same requests with both operations."""

    def __init__(self, models: ModelRepository, gpu: HostGpu) -> None:
        self.cpu, self.on_gpu = Engines(gpu), Engines(gpu)
        resizer = GpuResizer(gpu)
        operations = GpuOperations(gpu, resizer, GpuDecoder(PillowJpegs(), resizer), "a fake")
        self._cpu = Recognizer(models, self.cpu)
        self._gpu = Recognizer(models, self.on_gpu, operations=operations)

    def recognize(self, requests: Sequence[Request]) -> list[tuple[Recognition, Recognition]]:
        return list(zip(self._cpu.recognize(requests)[0], self._gpu.recognize(requests)[0], strict=True))

    def differences(self, model: str) -> np.ndarray:
        cpu, gpu = (np.stack(engines.seen[model]).astype(np.int16) for engines in (self.cpu, self.on_gpu))
        assert cpu.shape == gpu.shape
        return np.abs(cpu - gpu)


@pytest.fixture
def both(models: ModelRepository, gpu: HostGpu) -> Both:
    return Both(models, gpu)


def agree(pairs: list[tuple[Recognition, Recognition]]) -> None:
    for cpu, gpu in pairs:
        assert (type(gpu.error), str(gpu.error)) == (type(cpu.error), str(cpu.error))
        assert [found.box for found in gpu.objects] == [pytest.approx(found.box, abs=1e-6) for found in cpu.objects]
        assert [found.label for found in gpu.objects] == [found.label for found in cpu.objects]
        assert gpu.engines == cpu.engines
        if cpu.picture is not None and gpu.picture is not None:
            assert (gpu.picture.width, gpu.picture.height) == (cpu.picture.width, cpu.picture.height)


def test_pictures_that_are_not_reduced_give_the_same_bytes(both: Both, sample: Sample) -> None:
    names = ("coffee.png", "astronaut.png", "chelsea.png", "rocket.jpg")
    requests = [wanted(encoded(sample(name), fmt)) for name in names for fmt in ("PNG", "JPEG")]
    agree(both.recognize([*requests, wanted(b"broken"), wanted(requests[1].data[:3000])]))
    assert both.differences("detector").max() == 0
    assert both.differences("embedder_x").max() == 0


def test_reduced_frames_are_within_the_tolerance(both: Both, sample: Sample) -> None:
    names = ("coffee.png", "astronaut.png", "chelsea.png", "motorcycle_left.png", "retina.jpg")
    agree(both.recognize([wanted(encoded(sample(name).resize((1920, 1080)), quality=85)) for name in names]))
    for model in ("detector", "embedder_x"):
        assert both.differences(model).mean() < 0.5
        assert both.differences(model).max() <= 16


def test_regions_are_exact_and_wrong_ones_say_the_same(both: Both, sample: Sample) -> None:
    data = encoded(sample("coffee.png").resize((1281, 853)))
    regions = [
        (Box(0.1, 0.2, 0.35, 0.6), Box(0.5, 0.5, 0.52, 0.52)),
        (Box(0.0, 0.0, 1.0, 1.0),),
        (Box(0.2, 0.2, 0.1, 0.4),),
        (Box(0.0, 0.0, 1.5, 1.0),),
    ]
    pairs = both.recognize([wanted(data, regions=each) for each in regions])
    agree(pairs)
    assert [len(gpu.objects) for _, gpu in pairs] == [2, 1, 0, 0]
    assert both.differences("embedder_x").max() <= 16


def test_crops_that_are_kept_are_the_cpus(both: Both, sample: Sample) -> None:
    pairs = both.recognize([wanted(encoded(sample("coffee.png"), "PNG"), keep_crops=True)])
    agree(pairs)
    ((cpu, gpu),) = pairs
    assert [found.crop for found in gpu.objects] == [found.crop for found in cpu.objects]
    assert all(found.crop for found in gpu.objects)


def test_orientation_reaches_boxes_and_crops(both: Both, sample: Sample) -> None:
    requests = []
    for orientation in range(1, 9):
        tags = Image.Exif()
        tags[0x0112] = orientation
        requests.append(wanted(encoded(sample("rocket.jpg").resize((1001, 1903)), quality=90, exif=tags)))
    agree(both.recognize(requests))
    assert both.differences("embedder_x").mean() < 0.5


def test_what_a_batch_used_is_forgotten(both: Both, gpu: HostGpu, sample: Sample) -> None:
    both.recognize([wanted(encoded(sample("coffee.png")))])
    assert gpu._rooms == []
    both.recognize([])
    assert gpu._rooms == []


def test_large_batches_are_given_to_engines_in_parts(both: Both, sample: Sample) -> None:
    agree(both.recognize([wanted(encoded(sample("chelsea.png")))] * 7))
    assert both.differences("detector").shape[0] == 7
    assert both.differences("embedder_x").max() == 0
