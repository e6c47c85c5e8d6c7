"""A folder of models in Triton's form. Versions come and go by a rename, so a server never sees half of one."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from framelens_engines.engine import ENGINE_JSON, EngineRecord, read_record
from framelens_engines.errors import RepositoryError

CONFIG = "config.pbtxt"
CONFIGS = "configs"
LABELS_FILE = "labels.txt"
# A model of this name holds one version beside the serving one, to be tried; the gateway knows it by this name too.
CANDIDATE_SUFFIX = "__candidate"
_FILE_OF_TARGET = {"onnxruntime": "model.onnx", "tensorrt": "model.plan"}


@dataclass(frozen=True)
class EngineVersion:
    """A version folder with an engine in it; its name is MODEL/NUMBER."""

    model: str
    version: int
    folder: Path
    record: EngineRecord

    @property
    def name(self) -> str:
        return f"{self.model}/{self.version}"

    @property
    def engine(self) -> Path:
        return engine_file(self.folder, self.record.target)


class VersionRepository:
    """A model repository on disk, be it the one that Triton serves or the one where versions are staged."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def models(self) -> list[str]:
        """Raises RepositoryError where there is no such folder."""
        if not self.root.is_dir():
            raise RepositoryError(f"there is no model repository at {self.root}; make that folder, or name another")
        names = (path.parent.name for path in self.root.glob(f"*/{CONFIG}"))
        return sorted(name for name in names if not name.startswith(".") and not name.endswith(CANDIDATE_SUFFIX))

    def versions(self, model: str) -> list[EngineVersion]:
        """The engine versions of a model, oldest first; folders without engine.json hold no engine of ours."""
        return [
            EngineVersion(model, number, folder, _complete_record(folder))
            for number, folder in self._numbered(model)
            if (folder / ENGINE_JSON).is_file()
        ]

    def numbers(self, model: str) -> list[int]:
        """Every version number in use, lowest first, whatever its folder holds."""
        return [number for number, _ in self._numbered(model)]

    def add(self, prepared: Path, number: int, description: Mapping[str, str], record: EngineRecord) -> EngineVersion:
        """Completes a prepared folder with engine.json and renames it in; `description` is for a model without any."""
        model_folder = self.root / record.model
        write_record(prepared, record)
        if not self.numbers(record.model):
            _describe_model(model_folder, description)
        _sync_tree(prepared)
        prepared.rename(model_folder / str(number))
        _sync(model_folder)
        return EngineVersion(record.model, number, model_folder / str(number), record)

    def take(self, version: EngineVersion, workspace: Path) -> EngineVersion:
        """Moves a version here from another repository; at no moment is it in neither.

        `workspace` is a folder to make on the same file system, where no server looks.
        """
        model_folder, here = self.root / version.model, self.root / version.model / str(version.version)
        if here.exists():
            self._finish_taking(version, here)
        elif model_folder.is_dir():
            version.folder.rename(here)
            _sync(model_folder)
        else:
            self._take_with_model(version, workspace)
        return EngineVersion(version.model, version.version, here, version.record)

    def _finish_taking(self, version: EngineVersion, here: Path) -> None:
        """An earlier move was interrupted after the version had arrived."""
        if _complete_record(here).build != version.record.build:
            raise RepositoryError(f"{here} is another build than {version.folder}; was it put there by hand?")
        shutil.rmtree(version.folder)

    def _take_with_model(self, version: EngineVersion, whole: Path) -> None:
        """A model comes in whole: Triton would stumble over one without versions."""
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir()
        for name in (CONFIG, LABELS_FILE):
            if (version.folder.parent / name).is_file():
                shutil.copy2(version.folder.parent / name, whole / name)
        shutil.copytree(version.folder, whole / str(version.version), copy_function=os.link)
        _sync_tree(whole)
        whole.rename(self.root / version.model)
        _sync(self.root)
        shutil.rmtree(version.folder)

    def _numbered(self, model: str) -> list[tuple[int, Path]]:
        folder = self.root / model
        if not folder.is_dir():
            return []
        return sorted((int(path.name), path) for path in folder.iterdir() if path.is_dir() and path.name.isdecimal())


def configuration(model: Path, name: str | None) -> Path:
    """The file that a Triton takes which was started with --model-config-name, or without where `name` is None.

    docs.nvidia.com, Triton, "Model Configuration", "Custom Model Configuration": a model that has none of that name is
    served by config.pbtxt.
    """
    named = model / CONFIGS / f"{name}.pbtxt"
    return named if name and named.is_file() else model / CONFIG


def candidate_name(model: str) -> str:
    return f"{model}{CANDIDATE_SUFFIX}"


def engine_file(folder: Path, target: str) -> Path:
    """Where Triton looks for the engine in a version folder."""
    return folder / _FILE_OF_TARGET[target]


def write_record(folder: Path, record: EngineRecord) -> None:
    """Replaces engine.json in one step."""
    replace_text(folder / ENGINE_JSON, record.model_dump_json(indent=2) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Writes a file in one step: a full disk or a kill leaves the old text."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    _sync(partial)
    partial.replace(path)
    _sync(path.parent)


def _complete_record(folder: Path) -> EngineRecord:
    record = read_record(folder / ENGINE_JSON)
    engine = engine_file(folder, record.target)
    if not engine.is_file():
        raise RepositoryError(f"{folder} has {ENGINE_JSON} and no {engine.name}; delete that folder and build it again")
    return record


def _describe_model(folder: Path, description: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in description.items():
        replace_text(folder / name, text)


def _sync_tree(root: Path) -> None:
    for path in [*root.rglob("*"), root]:
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
