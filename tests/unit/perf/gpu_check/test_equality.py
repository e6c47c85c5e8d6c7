"""Comparison with the CPU, on this machine's cores in a GPU's place."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from host_gpu import HostGpu, PillowJpegs
from PIL import Image

from framelens_perf.gpu_check.equality import (
    EXACT,
    Difference,
    Tolerance,
    decoded_here,
    same_pixels_in,
    sample_pictures,
)
from framelens_triton.cuda.arrays import DeviceImage

SAMPLES = Path(__file__).parents[4] / "var" / "samples"


class Brighter(HostGpu):
    """A GPU whose memory comes back one grey level off."""

    def download(self, address: int, shape: tuple[int, ...]) -> np.ndarray:
        pixels = super().download(address, shape)
        return np.where(pixels < 255, pixels + 1, 254).astype(np.uint8)


class NoJpegs:
    def decode(self, pictures: Sequence[bytes]) -> list[DeviceImage | None]:
        return [None] * len(pictures)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    with Image.open(SAMPLES / "chelsea.png") as file:
        return file.convert("RGB")


def test_kernels_are_exact_on_the_same_pixels(gpu: HostGpu, picture: Image.Image) -> None:
    found = same_pixels_in(gpu, [picture])
    assert {each.operation for each in found} == {
        *("resize, stretch", "resize, letterbox", "crop, stretch", "crop, letterbox"),
        *("cut", "reduce", "orientation"),
    }
    assert [(each.operation, each.largest, each.held) for each in found if not each.held] == []


def test_one_grey_level_off_is_not_held(kernels: object, picture: Image.Image) -> None:
    found = same_pixels_in(Brighter(kernels), [picture])
    assert {(each.mean, each.largest, each.held) for each in found} == {(1.0, 1, False)}


def test_the_same_decoder_is_exact_at_full_size_and_near_when_reduced(gpu: HostGpu, picture: Image.Image) -> None:
    found = {each.operation: each for each in decoded_here(gpu, PillowJpegs(), [picture], Tolerance(0.6, 32))}
    assert found["decode, full size"].largest == 0
    assert found["input of what is decoded, full size"].largest == 0
    assert found["decode, reduced"].mean > 0
    assert all(each.held for each in found.values())


def test_what_the_cpu_decodes_is_not_compared_with_itself(gpu: HostGpu, picture: Image.Image) -> None:
    assert decoded_here(gpu, NoJpegs(), [picture]) == []


def test_a_tolerance_bounds_mean_and_every_value() -> None:
    assert Difference("x", 1, 0.5, 16, Tolerance(0.5, 16)).held
    assert Difference("x", 1, 0.6, 16, Tolerance(0.5, 16)).held is False
    assert Difference("x", 1, 0.5, 17, Tolerance(0.5, 16)).held is False
    assert Difference("x", 1, 0.0, 1, EXACT).held is False
    assert Difference("x", 1, 9.0, 99, None).held is None


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        sample_pictures(tmp_path)
