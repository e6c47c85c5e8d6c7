from pathlib import Path

import pytest

from framelens_engines.engine import EngineRecord, Recipe, Source, new_record
from framelens_engines.errors import RepositoryError
from framelens_engines.model_config import DetectorShape, EmbedderShape, Shape
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion, ModelRepository, engine_file

SHAPE = EmbedderShape(8, 8, 3, "stretch")


def _recipe(model: str = "embedder_x", sha256: str = "a", precision: str = "fp32") -> Recipe:
    source = Source(package=None, version=None, file="f.onnx", sha256=sha256, licence="own")
    return Recipe.model_validate(
        {"model": model, "source": source, "precision": precision, "target": "onnxruntime", "conversion": {}}
    )


def _record(recipe: Recipe) -> EngineRecord:
    return new_record(recipe, "test", "0")


def _publish(repository: ModelRepository, recipe: Recipe, shape: Shape = SHAPE) -> EngineVersion:
    with repository.building(Reporter(quiet=True)), repository.staged(recipe.model) as staged:
        engine_file(staged, recipe.target).write_bytes(b"engine")
        return repository.publish(staged, shape, _record(recipe))


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_new_model_comes_in_whole(repository: ModelRepository) -> None:
    version = _publish(repository, _recipe("d"), DetectorShape(8, 8, ("a", "b"), "letterbox"))
    assert (version.version, version.folder) == (1, repository.root / "d" / "1")
    assert _files(repository.root) == ["d/1/engine.json", "d/1/model.onnx", "d/config.pbtxt", "d/labels.txt"]
    assert (repository.root / "d/labels.txt").read_text() == "a\nb\n"
    assert repository.models() == ["d"]


def test_versions_count_up_and_are_found_by_build(repository: ModelRepository) -> None:
    first, second = _publish(repository, _recipe()), _publish(repository, _recipe(precision="int8"))
    (repository.root / "embedder_x" / "9").mkdir()
    third = _publish(repository, _recipe(precision="fp16"))
    assert [version.version for version in (first, second, third)] == [1, 2, 10]
    assert repository.versions("embedder_x") == [first, second, third]
    assert repository.find("embedder_x", second.record.build) == second
    assert repository.find("embedder_x", 1) is None


def test_another_shape_under_the_same_name_is_refused(repository: ModelRepository) -> None:
    _publish(repository, _recipe())
    before = _files(repository.root)
    with pytest.raises(
        RepositoryError, match=r"with another shape.*embedding: is TYPE_FP32\[3\], would be TYPE_FP32\[4\]"
    ):
        _publish(repository, _recipe(precision="int8"), EmbedderShape(8, 8, 4, "stretch"))
    assert _files(repository.root) == before


def test_other_weights_need_a_space_of_their_own(repository: ModelRepository) -> None:
    _publish(repository, _recipe())
    repository.expect_same_space(_recipe(precision="int8"))
    with pytest.raises(RepositoryError, match=r"the embedding space of f\.onnx"):
        repository.expect_same_space(_recipe(sha256="b"))


def test_a_failure_leaves_nothing(repository: ModelRepository) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        repository.building(Reporter(quiet=True)),
        repository.staged("m") as staged,
    ):
        engine_file(staged, "onnxruntime").write_bytes(b"engine")
        raise ZeroDivisionError
    assert _files(repository.root) == []
    assert _files(repository.root.parent / "var") == ["staging/.lock"]


def test_a_version_without_its_engine_is_named(repository: ModelRepository) -> None:
    version = _publish(repository, _recipe())
    (version.folder / "model.onnx").unlink()
    with pytest.raises(RepositoryError, match=r"1 has engine\.json and no model\.onnx"):
        repository.versions("embedder_x")


def test_a_repository_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no model repository at .*elsewhere"):
        ModelRepository(tmp_path / "elsewhere").models()
    with (
        pytest.raises(RepositoryError, match="no model repository"),
        ModelRepository(tmp_path / "elsewhere").building(Reporter(quiet=True)),
    ):
        pass


def test_staging_on_another_file_system_is_refused(repository: ModelRepository) -> None:
    other = Path("/dev/shm")  # noqa: S108 - a file system that is surely another
    if not other.is_dir() or other.stat().st_dev == repository.root.stat().st_dev:
        pytest.skip("this machine has no second file system to stage on")
    elsewhere = ModelRepository(repository.root, other / f"framelens-test-{repository.root.parent.name}")
    try:
        with pytest.raises(RepositoryError, match="on another file system"):
            _publish(elsewhere, _recipe())
    finally:
        for path in (other / f"framelens-test-{repository.root.parent.name}").iterdir():
            path.unlink()
        (other / f"framelens-test-{repository.root.parent.name}").rmdir()
    assert _files(repository.root) == []
