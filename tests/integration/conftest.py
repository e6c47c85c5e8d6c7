"""The real stack, Triton and Milvus Lite, started once for the folder and once more for tests that kill its parts."""

import io
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from framelens_client import Box, Client, Product, ProductUpsert, ReferencePicture

# Sibling modules are found through this folder, shared ones through the one above.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "var" / "samples"
WHOLE = Box(0.0, 0.0, 1.0, 1.0)


class Stack:
    """The addresses and process ids of a running stack."""

    def __init__(self, serve_file: Path, log: Path) -> None:
        self._serve_file = serve_file
        self.log = log

    def __getitem__(self, name: str) -> str:
        return str(self._read()[name])

    def pid(self, part: str) -> int:
        return int(self._read()["pids"][part])

    def _read(self) -> dict:
        return json.loads(self._serve_file.read_text())


@contextmanager
def running_stack(var_dir: Path, *flags: str) -> Iterator[Stack]:
    command = [Path(sys.executable).with_name("framelens-stack"), f"--var-dir={var_dir}", *flags]
    var_dir.mkdir(parents=True, exist_ok=True)
    log = var_dir / "stack.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    serve_file = var_dir / "serve.json"
    try:
        end = time.monotonic() + 120
        while not serve_file.exists():
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.1)
        yield Stack(serve_file, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert not serve_file.exists(), "a stopped stack leaves no serve.json behind"


@pytest.fixture(scope="session")
def anew() -> Callable[[bytes], bytes]:
    """The same picture in other bytes each time, so that engines answer, and not what was kept of an answer before."""
    numbers = itertools.count()
    return lambda picture: picture + next(numbers).to_bytes(8, "big")


@pytest.fixture(scope="session")
def start_stack() -> Callable[..., AbstractContextManager[Stack]]:
    """For modules whose stack has settings of its own."""
    return running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that a module may harm."""
    with running_stack(tmp_path_factory.mktemp("own-stack")) as running:
        yield running


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack["grpc"]) as connected:
        yield connected


@pytest.fixture(scope="session")
def sample() -> Callable[[str], bytes]:
    """The bytes of a sample picture."""

    def read(name: str) -> bytes:
        path = SAMPLES / name
        assert path.is_file(), f"{path} is missing; run the tests with `make test`"
        return path.read_bytes()

    return read


@pytest.fixture(scope="session")
def jpeg(sample: Callable[[str], bytes]) -> Callable[..., bytes]:
    """A sample re-compressed as JPEG, in any mode and with any of Pillow's options."""

    def encode(name: str, mode: str = "RGB", fmt: str = "JPEG", **options: object) -> bytes:
        with Image.open(io.BytesIO(sample(name))) as picture:
            buffer = io.BytesIO()
            picture.convert("RGB").convert(mode).save(buffer, fmt, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def upsert_of(sample: Callable[[str], bytes]) -> Callable[..., ProductUpsert]:
    """A product whose reference pictures are whole samples."""

    def make(product_id: str, *pictures: str, **fields: object) -> ProductUpsert:
        references = tuple(ReferencePicture(sample(name), WHOLE) for name in pictures)
        return ProductUpsert(Product(id=product_id, **fields), references)

    return make
