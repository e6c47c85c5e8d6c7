import errno
import shutil
from pathlib import Path

import pytest

from framelens_engines.engine import Recipe, Source, new_record
from framelens_engines.errors import RepositoryError
from framelens_engines.model_config import DetectorShape, EmbedderShape, Shape, description, expect_shape, read_shape
from framelens_engines.repository import EngineVersion, engine_file
from framelens_engines.store import EngineStore
from framelens_triton.images.resize import Fit

SHAPE = EmbedderShape(8, 8, 3, Fit.STRETCH)


def _recipe(model: str = "embedder_x", sha256: str = "a", precision: str = "fp32") -> Recipe:
    source = Source(package=None, version=None, file="f.onnx", sha256=sha256, licence="own")
    return Recipe.model_validate(
        {"model": model, "source": source, "precision": precision, "target": "onnxruntime", "conversion": {}}
    )


def _staged(store: EngineStore, recipe: Recipe, shape: Shape = SHAPE) -> EngineVersion:
    with store.building(), store.workspace(recipe.model) as folder:
        engine_file(folder, recipe.target).write_bytes(b"engine")
        return store.stage(folder, description(recipe.model, shape), new_record(recipe, "test", "0"))


def _published(store: EngineStore, recipe: Recipe, shape: Shape = SHAPE) -> EngineVersion:
    return store.publish(_staged(store, recipe, shape))


def _files(root: Path) -> list[str]:
    """Other than locks and notes."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(str(path.relative_to(root)) for path in files)


def test_a_new_model_comes_in_whole(store: EngineStore) -> None:
    staged = _staged(store, _recipe("d"), DetectorShape(8, 8, ("a", "b"), Fit.LETTERBOX))
    assert _files(store.published.root) == []
    version = store.publish(staged)
    assert (version.name, version.folder) == ("d/1", store.published.root / "d" / "1")
    assert _files(store.published.root) == ["d/1/engine.json", "d/1/model.onnx", "d/config.pbtxt", "d/labels.txt"]
    assert (store.published.root / "d/labels.txt").read_text() == "a\nb\n"
    assert store.versions("d") == [version]
    assert store.models() == ["d"]


def test_numbers_count_up_in_both_places_and_builds_are_found(store: EngineStore) -> None:
    first, second = _published(store, _recipe()), _staged(store, _recipe(precision="int8"))
    (store.published.root / "embedder_x" / "9").mkdir()
    third = _published(store, _recipe(precision="fp16"))
    assert [version.version for version in (first, second, third)] == [1, 2, 10]
    assert store.versions("embedder_x") == [first, second, third]
    assert store.find("embedder_x", second.record.build) == second
    assert store.find("embedder_x", 1) is None


def test_a_number_is_never_given_twice(store: EngineStore) -> None:
    _published(store, _recipe())
    shutil.rmtree(_staged(store, _recipe(precision="int8")).folder)
    assert _staged(store, _recipe(precision="fp16")).name == "embedder_x/3"


def test_a_full_disk_does_not_make_it_forget_the_last_number(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(path: Path, text: str, **_: str) -> None:
        path.open("w").close()
        raise OSError(errno.ENOSPC, "no space left on device")

    _published(store, _recipe())
    shutil.rmtree(_staged(store, _recipe(precision="int8")).folder)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space left"):
        patch.setattr(Path, "write_text", fill_up)
        _staged(store, _recipe(precision="fp16"))
    assert _staged(store, _recipe(precision="fp16")).name == "embedder_x/3"


@pytest.mark.parametrize("content", [b"", b"\xff", b"two"])
def test_without_a_readable_last_number_no_number_in_use_is_given_again(store: EngineStore, content: bytes) -> None:
    _published(store, _recipe())
    _staged(store, _recipe(precision="int8"))
    (store.staged.root / "embedder_x" / ".last").write_bytes(content)
    assert _staged(store, _recipe(precision="fp16")).name == "embedder_x/3"


def test_staging_elsewhere_does_not_get_round_the_lock(store: EngineStore, tmp_path: Path) -> None:
    other = EngineStore(store.published.root, tmp_path / "elsewhere")
    with (
        store.building(),
        pytest.raises(RepositoryError, match="another framelens-engines builds or validates"),
        other.building(),
    ):
        pass


def test_what_else_lies_in_the_staging_folder_stays(store: EngineStore) -> None:
    photo = store.staged.root / "embedder_x" / "photo.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"mine")
    _staged(store, _recipe())
    assert photo.read_bytes() == b"mine"


def test_another_build_under_the_same_number_is_not_overwritten(store: EngineStore) -> None:
    staged = _staged(store, _recipe())
    other = _published(EngineStore(store.published.root, store.staged.root.with_name("other")), _recipe(sha256="b"))
    with pytest.raises(RepositoryError, match="is another build than"):
        store.publish(staged)
    assert (staged.folder.is_dir(), other.folder.is_dir()) == (True, True)


def test_a_version_goes_there_and_back_under_its_number(store: EngineStore) -> None:
    _published(store, _recipe())
    published = _published(store, _recipe(precision="int8"))
    withdrawn = store.withdraw(published)
    assert not published.folder.exists()
    assert store.versions("embedder_x")[1] == withdrawn
    assert [store.is_published(version) for version in store.versions("embedder_x")] == [True, False]
    assert store.publish(withdrawn) == published


def test_a_move_that_was_interrupted_is_finished(store: EngineStore) -> None:
    staged = _staged(store, _recipe())
    shutil.copytree(staged.folder.parent, store.published.root / "embedder_x")
    (version,) = store.versions("embedder_x")
    assert store.is_published(version)
    assert store.publish(staged) == version
    assert not staged.folder.exists()


def test_a_name_that_is_not_there_is_answered_with_those_that_are(store: EngineStore) -> None:
    _published(store, _recipe())
    with pytest.raises(RepositoryError, match="no version embedder_x/2; there is embedder_x/1"):
        store.get("embedder_x/2")
    with pytest.raises(RepositoryError, match=r"no version of m; the models are \['embedder_x'\]"):
        store.get("m/1")


def test_another_shape_under_the_same_name_is_refused(store: EngineStore) -> None:
    _published(store, _recipe())
    _staged(store, _recipe(precision="int8"))
    folders = store.described("embedder_x")
    assert folders == [store.published.root / "embedder_x", store.staged.root / "embedder_x"]
    for folder in folders:
        with pytest.raises(
            RepositoryError, match=r"with another shape.*embedding: is TYPE_FP32\[3\], would be TYPE_FP32\[4\]"
        ):
            expect_shape(folder, EmbedderShape(8, 8, 4, Fit.STRETCH))
    assert store.described("embedder_y") == []


def test_a_shape_is_read_back_as_it_was_written(store: EngineStore) -> None:
    for model, shape in (("d", DetectorShape(8, 16, ("a", "b"), Fit.LETTERBOX)), ("embedder_y", SHAPE)):
        assert read_shape(_staged(store, _recipe(model), shape).folder.parent) == shape


def test_other_weights_need_a_space_of_their_own(store: EngineStore) -> None:
    _published(store, _recipe())
    store.expect_same_space(_recipe(precision="int8"))
    with pytest.raises(RepositoryError, match=r"the embedding space of f\.onnx"):
        store.expect_same_space(_recipe(sha256="b"))


def test_a_failure_leaves_nothing(store: EngineStore) -> None:
    with pytest.raises(ZeroDivisionError), store.building(), store.workspace("m") as folder:
        engine_file(folder, "onnxruntime").write_bytes(b"engine")
        raise ZeroDivisionError
    assert _files(store.published.root) == []
    assert _files(store.staged.root) == []


def test_a_version_without_its_engine_is_named(store: EngineStore) -> None:
    version = _published(store, _recipe())
    (version.folder / "model.onnx").unlink()
    with pytest.raises(RepositoryError, match=r"1 has engine\.json and no model\.onnx"):
        store.versions("embedder_x")


def test_a_repository_must_be_there(tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "elsewhere")
    with pytest.raises(RepositoryError, match="no model repository at .*elsewhere"):
        store.models()
    with pytest.raises(RepositoryError, match="no model repository"), store.building():
        pass


def test_staging_on_another_file_system_is_refused(store: EngineStore) -> None:
    other = Path("/dev/shm")  # noqa: S108 - a file system that is surely another
    if not other.is_dir() or other.stat().st_dev == store.published.root.stat().st_dev:
        pytest.skip("this machine has no second file system to stage on")
    staging = other / f"framelens-test-{store.published.root.parent.name}"
    try:
        with pytest.raises(RepositoryError, match="on another file system"):
            _published(EngineStore(store.published.root, staging), _recipe())
    finally:
        shutil.rmtree(staging)
    assert _files(store.published.root) == []
