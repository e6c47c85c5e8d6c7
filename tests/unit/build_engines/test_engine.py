from pathlib import Path

import pytest
from pydantic import ValidationError

from framelens_engines.engine import EngineRecord, Recipe, Source, new_record, read_record
from framelens_engines.errors import RepositoryError

SOURCE = Source(package="p", version="1", file="weights.pth", sha256="ab" * 32, licence="Apache-2.0")
RECIPE = Recipe(
    model="m", source=SOURCE, precision="fp32", target="onnxruntime", conversion={"revision": 1, "mean": [0]}
)


def test_the_build_number_is_the_same_wherever_it_is_made() -> None:
    assert RECIPE.build == 1150774757
    assert RECIPE.model_copy(update={"source": SOURCE.model_copy(update={"licence": "other"})}).build == RECIPE.build


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"precision": "int8"},
        {"target": "tensorrt"},
        {"conversion": {"revision": 2, "mean": [0]}},
        {"source": SOURCE.model_copy(update={"sha256": "cd" * 32})},
    ],
)
def test_whatever_changes_the_engine_changes_its_build_number(change: dict[str, object]) -> None:
    other = RECIPE.model_copy(update=change).build
    assert other != RECIPE.build
    assert 0 < other < 2**31


def test_precision_target_and_revision_leave_the_space_as_it_is() -> None:
    same = RECIPE.model_copy(
        update={"precision": "int8", "target": "tensorrt", "conversion": {"revision": 2, "mean": [0]}}
    )
    assert same.weights == RECIPE.weights
    assert RECIPE.model_copy(update={"conversion": {"revision": 1, "mean": [1]}}).weights != RECIPE.weights


def test_a_record_survives_the_disk(tmp_path: Path) -> None:
    record = new_record(RECIPE, "framelens-engines 0", "ef" * 32)
    assert record.recipe == RECIPE
    assert record.created.utcoffset() is not None
    (tmp_path / "engine.json").write_text(record.model_dump_json())
    assert read_record(tmp_path / "engine.json") == record


@pytest.mark.parametrize("content", ["", "{}", '{"model": "m", "build": 0}', "[1]"])
def test_half_a_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "engine.json").write_text(content)
    with pytest.raises(RepositoryError, match=r"engine\.json is not a usable engine\.json"):
        read_record(tmp_path / "engine.json")


@pytest.mark.parametrize("build", [0, -1, 2**31])
def test_a_build_number_is_a_positive_int32(build: int) -> None:
    fields = new_record(RECIPE, "b", "ef" * 32).model_dump() | {"build": build}
    with pytest.raises(ValidationError):
        EngineRecord.model_validate(fields)
