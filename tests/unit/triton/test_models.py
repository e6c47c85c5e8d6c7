"""What a model repository says of itself, and that changes are noticed."""

import json
import os
from pathlib import Path

import pytest

from framelens_triton.images.resize import Fit
from framelens_triton.models import UNKNOWN_VERSION, ModelRepository

TEXT = """
name: "m" max_batch_size: 4
input [ {{ name: "images" data_type: TYPE_UINT8 dims: [ {height}, 48, 3 ] }} ]
parameters {{ key: "fit" value {{ string_value: "letterbox" }} }}
"""


@pytest.fixture
def repository(tmp_path: Path) -> ModelRepository:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "config.pbtxt").write_text(TEXT.format(height=32))
    (tmp_path / "m" / "1" / "engine.json").write_text(json.dumps({"build": 11}))
    return ModelRepository(tmp_path)


def test_an_engine_input_is_read_and_read_again_when_it_changes(repository: ModelRepository, tmp_path: Path) -> None:
    found = repository.engine_input("m")
    assert (found.height, found.width, found.fit, found.max_batch_size) == (32, 48, Fit.LETTERBOX, 4)
    path = tmp_path / "m" / "config.pbtxt"
    path.write_text(TEXT.format(height=64))
    os.utime(path, ns=(1, 1))
    assert repository.engine_input("m").height == 64


def test_a_version_that_is_added_later_is_found(repository: ModelRepository, tmp_path: Path) -> None:
    assert repository.version_of("m", 11) == "1"
    assert repository.version_of("m", 12) == UNKNOWN_VERSION
    (tmp_path / "m" / "2").mkdir()
    (tmp_path / "m" / "2" / "engine.json").write_text(json.dumps({"build": 12}))
    assert repository.version_of("m", 12) == "2"


@pytest.mark.parametrize("text", ["{}", "", "[]", '{"build": "x"}', None])
def test_a_record_that_says_nothing_hides_its_own_version_only(
    repository: ModelRepository, tmp_path: Path, text: str | None
) -> None:
    (tmp_path / "m" / "2").mkdir()
    if text is not None:
        (tmp_path / "m" / "2" / "engine.json").write_text(text)
    assert repository.version_of("m", 11) == "1"
    assert repository.version_of("m", 12) == UNKNOWN_VERSION


def test_a_model_that_is_gone_has_no_version(repository: ModelRepository) -> None:
    assert repository.version_of("m__candidate", 11) == UNKNOWN_VERSION


def test_files_without_a_time_are_read_too(repository: ModelRepository, tmp_path: Path) -> None:
    (tmp_path / "m" / "labels.txt").write_text("cup\n")
    for name in ("config.pbtxt", "labels.txt"):
        os.utime(tmp_path / "m" / name, ns=(0, 0))
    assert repository.engine_input("m").height == 32
    assert repository.labels("m") == ["cup"]


def test_a_model_without_pictures_is_refused(repository: ModelRepository, tmp_path: Path) -> None:
    (tmp_path / "m" / "config.pbtxt").write_text('name: "m"')
    with pytest.raises(ValueError, match="no input `images`"):
        repository.engine_input("m")
    with pytest.raises(FileNotFoundError):
        repository.engine_input("absent")
