"""The GPU's resizing on this machine's cores: byte for byte what Pillow makes of real pictures."""

import ctypes
from pathlib import Path

import numpy as np
import pytest
from host_gpu import HostGpu
from PIL import Image

from framelens_triton.cuda.arrays import DeviceImage
from framelens_triton.images.boxes import Box
from framelens_triton.images.decode import _UPRIGHT
from framelens_triton.images.gpu_resize import GpuResizer, Turn
from framelens_triton.images.resize import Fit, crop_to_input, cut, frame_to_input

# Reduced, enlarged, and one way each, of which Pillow does the vertical one first.
INPUTS = [(300, 300), (224, 224), (320, 640), (640, 320)]
Pictures = list[Image.Image]


@pytest.fixture(scope="session")
def pictures(samples: Path) -> Pictures:
    files = sorted(path for path in samples.iterdir() if path.suffix in (".png", ".jpg", ".gif"))
    assert len(files) > 20
    read = []
    for path in files:
        with Image.open(path) as file:
            read.append(file.convert("RGB"))
    return read


@pytest.fixture
def resizer(gpu: HostGpu) -> GpuResizer:
    return GpuResizer(gpu)


def on_gpu(resizer: GpuResizer, pictures: Pictures) -> list[DeviceImage]:
    return [resizer.image(np.asarray(picture)) for picture in pictures]


def some_boxes(picture: Image.Image, count: int, seed: int) -> list[Box]:
    """Of at least a pixel, and the whole."""
    drawn = np.sort(np.random.default_rng(seed).random((count, 2, 2)), axis=2)
    boxes = [Box(float(x[0]), float(y[0]), float(x[1]), float(y[1])) for x, y in drawn]
    large = [box for box in boxes if box.width * picture.width >= 1 and box.height * picture.height >= 1]
    return [*large, Box(0.0, 0.0, 1.0, 1.0)]


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize(("height", "width"), INPUTS)
def test_frames_are_those_of_the_cpu(
    gpu: HostGpu, resizer: GpuResizer, pictures: Pictures, height: int, width: int, fit: Fit
) -> None:
    batch, placements = resizer.frames_to_input(on_gpu(resizer, pictures), height, width, fit)
    assert gpu.launches == ["filter_weights", "resize"]
    expected = [frame_to_input(picture, height, width, fit) for picture in pictures]
    assert placements == [placement for _, placement in expected]
    assert (gpu.download(batch.address, batch.shape) == np.stack([pixels for pixels, _ in expected])).all()


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize(("height", "width"), INPUTS)
def test_crops_of_many_frames_are_those_of_the_cpu(
    gpu: HostGpu, resizer: GpuResizer, pictures: Pictures, height: int, width: int, fit: Fit
) -> None:
    images = on_gpu(resizer, pictures)
    crops = [(at, box) for at, picture in enumerate(pictures) for box in some_boxes(picture, 4, at)]
    batch = resizer.crops_to_input([(images[at], box) for at, box in crops], height, width, fit)
    # A letterboxed crop is cut out at its own size first, as on the CPU.
    assert gpu.launches == ["filter_weights", "resize"] * (1 if fit is Fit.STRETCH else 2)
    expected = np.stack([crop_to_input(pictures[at], box, height, width, fit) for at, box in crops])
    assert (gpu.download(batch.address, batch.shape) == expected).all()


@pytest.mark.parametrize("limits", [(None, 1), (100, 16), (448, 16)])
def test_cuts_are_those_of_the_cpu(resizer: GpuResizer, pictures: Pictures, limits: tuple[int | None, int]) -> None:
    images = on_gpu(resizer, pictures)
    crops = [(at, box) for at, picture in enumerate(pictures) for box in some_boxes(picture, 2, at)]
    cuts = resizer.cuts([(images[at], box) for at, box in crops], *limits)
    for (at, box), found in zip(crops, cuts, strict=True):
        assert (resizer.pixels(found) == np.asarray(cut(pictures[at], box, *limits))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
def test_pictures_are_reduced_and_turned_as_on_the_cpu(
    resizer: GpuResizer, pictures: Pictures, factor: int, orientation: int
) -> None:
    some = pictures[::3]
    turned = resizer.upright([Turn(image, factor, orientation) for image in on_gpu(resizer, some)])
    for picture, found in zip(some, turned, strict=True):
        reduced = picture.reduce(factor)
        expected = reduced.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else reduced
        assert (resizer.pixels(found) == np.asarray(expected)).all()


def test_an_upright_picture_is_not_copied(gpu: HostGpu, resizer: GpuResizer, small: Image.Image) -> None:
    (image,) = on_gpu(resizer, [small])
    assert resizer.upright([Turn(image, 1, 1), Turn(image, 1, 0)]) == [image, image]
    assert gpu.launches == []


def test_rows_may_lie_apart(resizer: GpuResizer, small: Image.Image) -> None:
    """As decoders leave them."""
    rows = np.zeros((small.height, 512), np.uint8)
    rows[:, : small.width * 3] = np.asarray(small).reshape(small.height, -1)
    image = DeviceImage(rows.ctypes.data, small.width, small.height, 512, rows)
    batch, _ = resizer.frames_to_input([image], 64, 64, Fit.STRETCH)
    found = np.frombuffer(ctypes.string_at(batch.address, batch.size), np.uint8).reshape(64, 64, 3)
    assert (found == frame_to_input(small, 64, 64, Fit.STRETCH)[0]).all()


def test_nothing_to_do_is_nothing_launched(gpu: HostGpu, resizer: GpuResizer) -> None:
    batch, placements = resizer.frames_to_input([], 300, 300, Fit.STRETCH)
    assert (len(batch), placements) == (0, [])
    assert len(resizer.crops_to_input([], 224, 224, Fit.LETTERBOX)) == 0
    assert gpu.launches == []


def test_an_extreme_reduction_is_that_of_the_cpu(gpu: HostGpu, resizer: GpuResizer) -> None:
    wide = Image.fromarray(np.random.default_rng(2).integers(0, 256, (16, 60_000, 3), np.uint8))
    batch, _ = resizer.frames_to_input([resizer.image(np.asarray(wide))], 30, 30, Fit.STRETCH)
    assert (gpu.download(batch.address, batch.shape)[0] == frame_to_input(wide, 30, 30, Fit.STRETCH)[0]).all()
