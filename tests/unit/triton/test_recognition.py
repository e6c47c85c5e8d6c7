"""The stages over a batch, with a fake at the seam to the engines."""

import io
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from framelens_triton.images.boxes import Box
from framelens_triton.models import ModelRepository
from framelens_triton.recognition import EngineUnavailable, Recognizer, Request

CONFIG = """
name: "{name}" max_batch_size: 2
input [ {{ name: "images" data_type: TYPE_UINT8 dims: [ 32, 32, 3 ] }} ]
"""


class FakeEngines:
    """One object in the left half of every frame; an embedding that is the mean colour of its crop."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.broken = ""
        # Of each frame, in order; label 1 is `cup`.
        self.labels: list[int] = []
        # Of the second candidate of every frame; without a pixel as it is.
        self.second = [0.9, 0.9, 0.9, 0.9]

    def infer(self, model: str, images: npt.NDArray[np.uint8], outputs: Sequence[str]) -> dict[str, npt.NDArray]:
        self.calls.append((model, len(images)))
        if model == self.broken:
            raise EngineUnavailable(model, "is not loaded")
        n = len(images)
        build = np.full((n, 1), 7, np.int32)
        if model == "detector":
            boxes = np.tile(np.array([[[0, 0, 0.5, 1], self.second]], np.float32), (n, 1, 1))
            scores, labels = np.tile([[0.9, 0.8]], (n, 1)), np.tile([[1, 0]], (n, 1))
            if self.labels:
                labels[:, 0] = [self.labels.pop(0) for _ in range(n)]
            return {"boxes": boxes, "scores": scores, "labels": labels, "build": build}
        return {"embedding": images.mean(axis=(1, 2)).astype(np.float32), "build": build}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("detector", "embedder_x"):
        (tmp_path / name / "3").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(CONFIG.format(name=name))
        (tmp_path / name / "3" / "engine.json").write_text(json.dumps({"build": 7}))
    (tmp_path / "detector" / "labels.txt").write_text("cat\ncup\n")
    return tmp_path


@pytest.fixture
def engines() -> FakeEngines:
    return FakeEngines()


@pytest.fixture
def recognizer(repository: Path, engines: FakeEngines) -> Recognizer:
    return Recognizer(ModelRepository(repository), engines)


def png(left: str, right: str = "black") -> bytes:
    picture = Image.new("RGB", (64, 64), right)
    picture.paste(left, (0, 0, 32, 64))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def request(data: bytes, **options: object) -> Request:
    return Request(data, "detector", "embedder_x", **options)


def test_a_broken_picture_leaves_its_neighbours_alone(recognizer: Recognizer) -> None:
    results, clock = recognizer.recognize([request(png("red")), request(b"broken"), request(png("lime"))])
    assert [result.error is None for result in results] == [True, False, True]
    assert [result.objects[0].embedding.tolist() for result in results if not result.error] == [
        [255, 0, 0],
        [0, 255, 0],
    ]
    assert results[0].objects[0].label == "cup"
    assert all(milliseconds >= 0 for milliseconds in clock.stages_ms.values())


def test_a_label_that_does_not_exist_fails_its_picture_alone(recognizer: Recognizer, engines: FakeEngines) -> None:
    engines.labels = [1, 5]
    results, _ = recognizer.recognize([request(png("red")), request(png("red"))])
    assert results[0].error is None
    assert isinstance(results[1].error, EngineUnavailable)
    assert "label number 5, and labels.txt has 2 lines" in str(results[1].error)


def wide_jpeg(width: int, height: int) -> bytes:
    """A fine pattern: what is enlarged from fewer pixels is blurred."""
    rows, columns = np.mgrid[0:height, 0:width]
    pattern = ((rows // 8 + columns // 8) % 2 * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pattern).convert("RGB").save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_an_object_that_is_small_in_a_large_frame_keeps_its_pixels(recognizer: Recognizer) -> None:
    """The left half of 400x2000 pixels, reduced to 100 for detecting; the embedder's 224 come from all 200."""
    (small,), _ = recognizer.recognize([request(wide_jpeg(400, 2000))])
    assert small.picture is not None
    assert small.picture.reduction == 1
    (large,), _ = recognizer.recognize([request(wide_jpeg(2000, 2000))])
    assert large.picture is not None
    assert large.picture.reduction == 4


def test_a_crop_that_is_kept_has_more_pixels_than_the_embedder_needs(recognizer: Recognizer) -> None:
    """Another space, of a larger input, will be filled from it."""
    whole = (Box(0.0, 0.0, 1.0, 1.0),)
    (result,), _ = recognizer.recognize([request(wide_jpeg(900, 900), regions=whole, keep_crops=True)])
    with Image.open(io.BytesIO(result.objects[0].crop)) as crop:
        assert crop.size == (448, 448)


@pytest.mark.parametrize("regions", [None, (Box(0.0, 0.0, 1.0, 1.0), Box(0.4, 0.4, 0.6, 0.6))])
def test_no_large_picture_is_kept(recognizer: Recognizer, regions: tuple[Box, ...] | None) -> None:
    """A narrow frame, or a small region, is decoded at full size; what is left of it meanwhile is not."""
    (result,), _ = recognizer.recognize([request(wide_jpeg(900, 9000), regions=regions)])
    assert result.error is None
    assert result.picture is not None
    columns, rows = result.picture.pixels.size
    assert columns * rows <= 4_000_000
    assert (result.picture.width, result.picture.height) == (900, 9000)


def test_times_of_several_pictures_add_up_to_what_passed(recognizer: Recognizer) -> None:
    started = time.perf_counter()
    _, clock = recognizer.recognize([request(wide_jpeg(900, 900))] * 6)
    passed_ms = (time.perf_counter() - started) * 1e3
    assert 0 < clock.total_ms <= passed_ms
    assert all(clock.stages_ms[stage] > 0 for stage in ("decode", "resize", "crop"))


def test_boxes_without_a_pixel_are_left_out(recognizer: Recognizer) -> None:
    (result,), _ = recognizer.recognize([request(png("red"))])
    assert len(result.objects) == 1


def test_each_stage_is_called_as_seldom_as_its_batch_size_allows(recognizer: Recognizer, engines: FakeEngines) -> None:
    recognizer.recognize([request(png("red"))] * 5)
    assert engines.calls == [(model, size) for model in ("detector", "embedder_x") for size in (2, 2, 1)]


def test_regions_replace_detection_and_stay_exact(recognizer: Recognizer, engines: FakeEngines) -> None:
    regions = (Box(0.0, 0.0, 0.5, 1.0), Box(0.5, 0.0, 1.0, 1.0))
    (result,), _ = recognizer.recognize([request(png("red", "blue"), regions=regions)])
    assert [found.box for found in result.objects] == list(regions)
    assert [found.embedding.tolist() for found in result.objects] == [[255, 0, 0], [0, 0, 255]]
    assert {model for model, _ in engines.calls} == {"embedder_x"}


def test_an_answer_names_the_version_that_computed_it(recognizer: Recognizer) -> None:
    (result,), _ = recognizer.recognize([request(png("red"))])
    assert result.engines == {"detector": "3", "embedder_x": "3"}


@pytest.mark.parametrize("model", ["detector", "embedder_x"])
def test_a_missing_engine_is_named(recognizer: Recognizer, engines: FakeEngines, model: str) -> None:
    engines.broken = model
    (result,), _ = recognizer.recognize([request(png("red"))])
    assert isinstance(result.error, EngineUnavailable)
    assert result.error.model == model


def test_a_space_that_the_repository_lacks_is_named(recognizer: Recognizer) -> None:
    results, _ = recognizer.recognize([Request(png("red"), "detector", "embedder_absent"), request(png("red"))])
    assert isinstance(results[0].error, EngineUnavailable)
    assert results[1].error is None


def test_crops_are_kept_only_when_asked_for(recognizer: Recognizer) -> None:
    results, _ = recognizer.recognize([request(png("red")), request(png("red"), keep_crops=True)])
    assert results[0].objects[0].crop == b""
    with Image.open(io.BytesIO(results[1].objects[0].crop)) as crop:
        assert (crop.format, crop.size) == ("JPEG", (32, 64))


def test_scores_and_counts_are_bounded(recognizer: Recognizer) -> None:
    (result,), _ = recognizer.recognize([request(png("red"), min_score=0.95)])
    assert result.objects == []


def test_things_without_a_name_come_last_and_are_embedded_too(recognizer: Recognizer, engines: FakeEngines) -> None:
    engines.second = [0.5, 0, 1, 1]
    asked = [request(png("red", "blue"), min_score=0.85, unnamed=unnamed) for unnamed in (0, 3)]
    (named, both), _ = recognizer.recognize(asked)
    assert [found.label for found in named.objects] == ["cup"]
    assert [(found.label, found.embedding.tolist()) for found in both.objects] == [
        ("cup", [255, 0, 0]),
        ("object", [0, 0, 255]),
    ]
    assert both.objects[1].score == pytest.approx(0.8)
    assert both.objects[0].box == named.objects[0].box
    assert engines.calls[1:] == [("embedder_x", 2), ("embedder_x", 1)]


def test_the_most_objects_bound_the_named_ones(recognizer: Recognizer, engines: FakeEngines) -> None:
    engines.second = [0.5, 0, 1, 1]
    (result,), _ = recognizer.recognize([request(png("red", "blue"), max_objects=1, unnamed=1)])
    assert [found.label for found in result.objects] == ["cup", "object"]


def test_without_an_embedder_there_are_boxes_alone(recognizer: Recognizer, engines: FakeEngines) -> None:
    results, _ = recognizer.recognize([Request(png("red"), "detector", None), request(png("red"))])
    assert [result.error for result in results] == [None, None]
    assert [result.objects[0].embedding is None for result in results] == [True, False]
    assert results[0].engines == {"detector": "3"}
    assert engines.calls == [("detector", 2), ("embedder_x", 1)]
