"""The model repository on disk: versions are staged beside it and renamed in, so a server never sees half of one."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from framelens_engines.engine import ENGINE_JSON, EngineRecord, Recipe, read_record
from framelens_engines.errors import RepositoryError
from framelens_engines.model_config import CONFIG, LABELS_FILE, DetectorShape, Shape, differences, render
from framelens_engines.progress import Reporter

_FILE_OF_TARGET = {"onnxruntime": "model.onnx", "tensorrt": "model.plan"}


@dataclass(frozen=True)
class EngineVersion:
    """A version folder with an engine in it."""

    model: str
    version: int
    folder: Path
    record: EngineRecord


class ModelRepository:
    """Triton's model repository; `staging` must lie on the same file system and outside of it."""

    def __init__(self, root: Path, staging: Path | None = None) -> None:
        self.root = root.resolve()
        self._staging = (staging or self.root.parent / "var" / "staging").resolve()

    def models(self) -> list[str]:
        self._expect_root()
        return sorted(path.parent.name for path in self.root.glob(f"*/{CONFIG}"))

    def versions(self, model: str) -> list[EngineVersion]:
        """The engine versions of a model, oldest first; folders without engine.json hold no engine of ours."""
        return [
            EngineVersion(model, number, folder, _complete_record(folder))
            for number, folder in self._numbered(model)
            if (folder / ENGINE_JSON).is_file()
        ]

    def find(self, model: str, build: int) -> EngineVersion | None:
        return next((version for version in self.versions(model) if version.record.build == build), None)

    def expect_shape(self, model: str, shape: Shape) -> None:
        """Raises RepositoryError if a model of that name exists and its callers would see another shape."""
        folder = self.root / model
        if folder.exists() and (found := differences(folder, shape)):
            raise RepositoryError(
                f"{model} exists in {self.root} with another shape; choose another name. " + "; ".join(found)
            )

    def expect_same_space(self, recipe: Recipe) -> None:
        """Raises RepositoryError if other weights made the model's versions: vectors of two spaces do not compare."""
        for version in self.versions(recipe.model):
            if version.record.recipe.weights != recipe.weights:
                raise RepositoryError(
                    f"{recipe.model} is the embedding space of {version.record.source.file} ({version.folder}); other"
                    " weights or another normalisation make another space, which needs a name of its own"
                )

    @contextmanager
    def building(self, reporter: Reporter) -> Iterator[None]:
        """Held while versions are made: one builder at a time, and what a killed one left behind is removed."""
        self._expect_root()
        self._staging.mkdir(parents=True, exist_ok=True)
        with (self._staging / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                reporter.say("waiting for another build on this repository to end")
                fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in self._staging.iterdir():
                if leftover.is_dir():
                    shutil.rmtree(leftover)
            yield

    @contextmanager
    def staged(self, model: str) -> Iterator[Path]:
        """An empty folder for a version's files, gone when the block ends unless it was published."""
        with tempfile.TemporaryDirectory(prefix=f"{model}-", dir=self._staging) as folder:
            version = Path(folder) / "version"
            version.mkdir()
            yield version

    def publish(self, staged: Path, shape: Shape, record: EngineRecord) -> EngineVersion:
        """Completes a staged version with engine.json and renames it in as the model's highest version."""
        self.expect_shape(record.model, shape)
        (staged / ENGINE_JSON).write_text(record.model_dump_json(indent=2) + "\n")
        self._expect_one_file_system()
        number = max((number for number, _ in self._numbered(record.model)), default=0) + 1
        model_folder = self.root / record.model
        if model_folder.exists():
            _add_labels(model_folder, shape)
            _rename_in(staged, model_folder / str(number))
        else:
            whole = staged.parent / "model"
            _write_model(whole, record.model, shape)
            staged.rename(whole / str(number))
            _rename_in(whole, model_folder)
        return EngineVersion(record.model, number, model_folder / str(number), record)

    def _numbered(self, model: str) -> list[tuple[int, Path]]:
        folder = self.root / model
        if not folder.is_dir():
            return []
        return sorted((int(path.name), path) for path in folder.iterdir() if path.is_dir() and path.name.isdecimal())

    def _expect_root(self) -> None:
        if not self.root.is_dir():
            raise RepositoryError(f"there is no model repository at {self.root}; make that folder, or name another")

    def _expect_one_file_system(self) -> None:
        if self.root.stat().st_dev != self._staging.stat().st_dev:
            raise RepositoryError(
                f"{self._staging} is on another file system than {self.root}, so a version cannot be renamed in;"
                " name a folder on the same one with --staging"
            )


def engine_file(folder: Path, target: str) -> Path:
    """Where Triton looks for the engine in a version folder."""
    return folder / _FILE_OF_TARGET[target]


def _complete_record(folder: Path) -> EngineRecord:
    record = read_record(folder / ENGINE_JSON)
    engine = engine_file(folder, record.target)
    if not engine.is_file():
        raise RepositoryError(f"{folder} has {ENGINE_JSON} and no {engine.name}; delete that folder and build it again")
    return record


def _write_model(folder: Path, model: str, shape: Shape) -> None:
    folder.mkdir()
    (folder / CONFIG).write_text(render(model, shape))
    _add_labels(folder, shape)


def _add_labels(folder: Path, shape: Shape) -> None:
    if isinstance(shape, DetectorShape) and not (folder / LABELS_FILE).is_file():
        partial = folder / f"{LABELS_FILE}.partial"
        partial.write_text("\n".join(shape.labels) + "\n")
        partial.replace(folder / LABELS_FILE)


def _rename_in(staged: Path, final: Path) -> None:
    for path in [*staged.rglob("*"), staged]:
        _sync(path)
    staged.rename(final)
    _sync(final.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
