"""Calibration inputs: the same each time, and of other pictures than those of evaluation."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framelens_engines.calibration import calibration_inputs, digest
from framelens_engines.errors import ConversionError
from framelens_engines.model_config import DetectorShape, EmbedderShape
from framelens_engines.progress import Reporter
from framelens_engines.wheels import CALIBRATION_PICTURES
from framelens_triton.images.resize import Fit

DETECTOR = DetectorShape(60, 80, ("cup",), Fit.STRETCH)
EMBEDDER = EmbedderShape(32, 32, 8, Fit.STRETCH)


def test_the_public_pictures_make_the_same_inputs_each_time(wheels: Path, quiet: Reporter) -> None:
    found = [calibration_inputs(DETECTOR, None, wheels, quiet) for _ in range(2)]
    assert found[0].shape == (7 * len(CALIBRATION_PICTURES), 60, 80, 3)
    assert found[0].dtype == np.uint8
    assert digest(found[0]) == digest(found[1])
    assert digest(found[0]) != digest(calibration_inputs(EMBEDDER, None, wheels, quiet))


def test_none_of_them_is_evaluated_with(samples: Path) -> None:
    evaluated = {hashlib.sha256(path.read_bytes()).hexdigest() for path in samples.iterdir()}
    assert not evaluated & {picture.sha256 for picture in CALIBRATION_PICTURES}


def test_a_folder_of_ones_own(tmp_path: Path, quiet: Reporter) -> None:
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "own.jpg")
    (tmp_path / "notes.txt").write_text("no picture")
    assert len(calibration_inputs(EMBEDDER, tmp_path, tmp_path, quiet)) == 7
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(ConversionError, match=r"broken\.png cannot be used to calibrate with"):
        calibration_inputs(EMBEDDER, tmp_path, tmp_path, quiet)


def test_an_empty_folder_is_named(tmp_path: Path, quiet: Reporter) -> None:
    with pytest.raises(ConversionError, match="has no pictures to calibrate with"):
        calibration_inputs(EMBEDDER, tmp_path, tmp_path, quiet)
