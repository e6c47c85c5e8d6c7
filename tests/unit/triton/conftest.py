"""Real pictures, encoded forms of them, and a GPU that is none; its module is found through the folder `fakes`."""

import io
import sys
from collections.abc import Callable, Iterator
from ctypes import CDLL
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent / "fakes"))

from host_driver import HostDriver, in_place_of_cuda
from host_gpu import HostGpu, compiled_for_host

REPO = Path(__file__).parents[3]
Sample = Callable[[str], Image.Image]
Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def samples() -> Path:
    folder = REPO / "var" / "samples"
    if not (folder / "coffee.png").is_file():
        pytest.fail("var/samples has no pictures; `make test` fetches them first")
    return folder


@pytest.fixture(scope="session")
def sample(samples: Path) -> Sample:
    """A sample picture by file name, as RGB at its full size."""

    @cache
    def read(name: str) -> Image.Image:
        with Image.open(samples / name) as file:
            return file.convert("RGB")

    return read


@pytest.fixture(scope="session")
def small(sample: Sample) -> Image.Image:
    """A real picture of 150x100 pixels, which no decoder is asked to scale."""
    return sample("coffee.png").resize((150, 100))


@pytest.fixture(scope="session")
def encode() -> Encode:
    def to_bytes(picture: Image.Image, fmt: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, fmt, **options)
        return buffer.getvalue()

    return to_bytes


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> CDLL:
    """The GPU's kernels, compiled for this machine."""
    return compiled_for_host(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def gpu(kernels: CDLL) -> HostGpu:
    return HostGpu(kernels)


@pytest.fixture
def driver(gpu: HostGpu, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostDriver]:
    """cuda-python's driver over this machine's memory."""
    fake = HostDriver(gpu)
    with in_place_of_cuda(fake, monkeypatch):
        yield fake
