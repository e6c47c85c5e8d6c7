"""All engine versions: those in the model repository that Triton serves, and those staged beside it.

A version is built in a workspace, staged, validated where it is staged, and published by a rename. Rolled back or
retired it goes back to the staged ones by a rename. Its number never changes and is never given twice.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from framelens_engines.engine import EngineRecord, Recipe
from framelens_engines.errors import RepositoryError
from framelens_engines.repository import EngineVersion, VersionRepository, candidate_name, replace_text

_WORKSPACES = ".building"
_MOVING = ".moving"
_LAST_NUMBER = ".last"
_TIMINGS = ".timings"


class EngineStore:
    """`staging` must lie on the same file system as the model repository, and outside of it.

    `config_name` is the --model-config-name of the servers that serve it.
    """

    def __init__(self, repository: Path, staging: Path | None = None, config_name: str | None = None) -> None:
        self.config_name = config_name
        self.published = VersionRepository(repository)
        self.staged = VersionRepository(staging or self.published.root.parent / "var" / "staging")

    @property
    def timings(self) -> Path:
        """A folder for what TensorRT measures of kernels, so that a later build need not measure it again."""
        return self.staged.root / _TIMINGS

    def models(self) -> list[str]:
        staged = self.staged.models() if self.staged.root.is_dir() else []
        return sorted({*self.published.models(), *staged})

    def versions(self, model: str) -> list[EngineVersion]:
        """Of both places, lowest number first; one whose move was interrupted counts as published."""
        found = {version.version: version for version in self.staged.versions(model)}
        found |= {version.version: version for version in self.published.versions(model)}
        return [found[number] for number in sorted(found)]

    def get(self, name: str) -> EngineVersion:
        """The version called MODEL/NUMBER. Raises RepositoryError, with the names that there are."""
        model, _, number = name.partition("/")
        versions = self.versions(model)
        for version in versions:
            if str(version.version) == number:
                return version
        there = ", ".join(v.name for v in versions) or f"no version of {model}; the models are {self.models()}"
        raise RepositoryError(f"there is no version {name}; there is {there}")

    def find(self, model: str, build: int) -> EngineVersion | None:
        return next((version for version in self.versions(model) if version.record.build == build), None)

    def candidate(self, model: str) -> int | None:
        """The number of the version that is the model's candidate on disk."""
        return max(self.published.numbers(candidate_name(model)), default=None)

    def described(self, model: str) -> list[Path]:
        """The folders that say what callers of a model see, in the places where it is."""
        published = self.published.root / model
        staged = [self.staged.root / model] if self.staged.numbers(model) else []
        return [published, *staged] if published.exists() else staged

    def expect_same_space(self, recipe: Recipe) -> None:
        """Raises RepositoryError if other weights made the model's versions: vectors of two spaces do not compare."""
        for version in self.versions(recipe.model):
            if version.record.recipe.weights != recipe.weights:
                raise RepositoryError(
                    f"{recipe.model} is the embedding space of {version.record.source.file} ({version.folder}); other"
                    " weights or another normalisation make another space, which needs a name of its own"
                )

    def is_published(self, version: EngineVersion) -> bool:
        return version.folder.parent.parent == self.published.root

    def stage(self, prepared: Path, description: Mapping[str, str], record: EngineRecord) -> EngineVersion:
        """Gives a prepared version the next number and renames it in among the staged ones."""
        number = max(self._last_number(record.model), *self.published.numbers(record.model), 0) + 1
        last = self.staged.root / record.model / _LAST_NUMBER
        last.parent.mkdir(parents=True, exist_ok=True)
        replace_text(last, str(number))
        return self.staged.add(prepared, number, description, record)

    def _last_number(self, model: str) -> int:
        """The highest that was ever given here: a number that meant one build never comes to mean another."""
        last = self.staged.root / model / _LAST_NUMBER
        try:
            given = int(last.read_text()) if last.is_file() else 0
        except ValueError:  # An emptied file must not stop all builds; the numbers in use are known without it.
            given = 0
        return max(given, *self.staged.numbers(model), 0)

    def publish(self, version: EngineVersion) -> EngineVersion:
        """Moves a staged version into the model repository."""
        self._expect_one_file_system()
        return self.published.take(version, self.staged.root / _MOVING)

    def withdraw(self, version: EngineVersion) -> EngineVersion:
        """Moves a published version back to the staged ones."""
        self.staged.root.mkdir(parents=True, exist_ok=True)
        self._expect_one_file_system()
        return self.staged.take(version, self.staged.root / _MOVING)

    def begin_rollback(self, target: EngineVersion) -> None:
        """Notes where a rollback goes, so that one that was interrupted is finished and not made a second time."""
        note = self._rollback_note(target.model)
        note.parent.mkdir(parents=True, exist_ok=True)
        replace_text(note, str(target.version))

    def begun_rollback(self, model: str) -> EngineVersion | None:
        note = self._rollback_note(model)
        number = note.read_text().strip() if note.is_file() else ""
        return next((v for v in self.published.versions(model) if str(v.version) == number), None)

    def end_rollback(self, model: str) -> None:
        self._rollback_note(model).unlink()

    def _rollback_note(self, model: str) -> Path:
        return self.staged.root / f".rollback-{model}"

    @contextmanager
    def building(self) -> Iterator[None]:
        """One builder at a time: a second is refused. What a killed one left behind is removed."""
        with self._lock("build", "builds or validates"):
            shutil.rmtree(self.staged.root / _WORKSPACES, ignore_errors=True)
            (self.staged.root / _WORKSPACES).mkdir()
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One change of what is published at a time: a second is refused."""
        with self._lock("change", "changes"):
            yield

    @contextmanager
    def workspace(self, model: str) -> Iterator[Path]:
        """An empty folder for a version's files, gone when the block ends unless it was staged."""
        with tempfile.TemporaryDirectory(prefix=f"{model}-", dir=self.staged.root / _WORKSPACES) as folder:
            version = Path(folder) / "version"
            version.mkdir()
            yield version

    @contextmanager
    def _lock(self, name: str, does: str) -> Iterator[None]:
        """It belongs to the model repository, whatever staging is named. The system frees it when its holder dies."""
        self.published.models()  # Says so where there is no repository.
        self.staged.root.mkdir(parents=True, exist_ok=True)
        with (self.published.root / f".{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RepositoryError(
                    f"another framelens-engines {does} {self.published.root}; try again when it has ended"
                ) from error
            yield

    def _expect_one_file_system(self) -> None:
        if self.published.root.stat().st_dev != self.staged.root.stat().st_dev:
            raise RepositoryError(
                f"{self.staged.root} is on another file system than {self.published.root}, so a version cannot be"
                " renamed in; name a folder on the same one with --staging"
            )
