"""A version loaded beside the serving one, as a model of its own name: to be tried, in shadow or in canary, or to be
asked before it is published.
"""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from framelens_engines.check import expect_answers
from framelens_engines.progress import Reporter
from framelens_engines.repository import (
    CANDIDATE_SUFFIX,
    CONFIG,
    LABELS_FILE,
    EngineVersion,
    candidate_name,
    configuration,
)
from framelens_engines.server import TritonServer
from framelens_engines.store import EngineStore

_RECOGNIZER = "recognizer"
_NAME_LINE = re.compile(r'^name:\s*".*"', re.MULTILINE)
_WORKSPACE = ".candidate"


def load_candidate(
    store: EngineStore, version: EngineVersion, servers: Sequence[TritonServer], reporter: Reporter
) -> None:
    """Each server loads it and answers its golden queries; where one fails, no server keeps it. Raises EngineError."""
    if store.candidate(version.model) not in (None, version.version):
        drop_candidate(store, version.model, servers)
    _lay_out(store, version)
    try:
        for server in servers:
            server.load(candidate_name(version.model))
            expect_answers(server, candidate_name(version.model), version)
            reporter.say(f"{server.name}: {version.name} answers as {candidate_name(version.model)}")
    except BaseException:
        drop_candidate(store, version.model, servers)
        raise


def load_recognizer(store: EngineStore, servers: Sequence[TritonServer], reporter: Reporter) -> None:
    """A recognizer for candidates alone: a slow one would hold up the whole batch that callers are in."""
    name = candidate_name(_RECOGNIZER)
    source, final = store.published.root / _RECOGNIZER, store.published.root / name
    if not final.is_dir():
        folder = _workspace(store)
        _copy_described(source, folder, name, store.config_name)
        for version in (path for path in source.iterdir() if path.name.isdecimal()):
            shutil.copytree(version, folder / version.name, ignore=shutil.ignore_patterns("__pycache__"))
        folder.rename(final)
    for server in servers:
        server.load(name)
        reporter.say(f"{server.name}: {name} stands beside {_RECOGNIZER}")


def drop_recognizer(store: EngineStore, servers: Sequence[TritonServer]) -> None:
    """Unless another model's candidate still needs it."""
    others = [path for path in store.published.root.glob(f"*{CANDIDATE_SUFFIX}") if path.is_dir()]
    if others == [store.published.root / candidate_name(_RECOGNIZER)]:
        drop_candidate(store, _RECOGNIZER, servers)


def drop_candidate(store: EngineStore, model: str, servers: Sequence[TritonServer]) -> bool:
    """Whether there was one. Servers finish what they were asked of it."""
    for server in servers:
        if server.serving(candidate_name(model)) is not None:
            server.unload(candidate_name(model))
    folder = store.published.root / candidate_name(model)
    there = folder.is_dir()
    shutil.rmtree(folder, ignore_errors=True)
    return there


def _lay_out(store: EngineStore, version: EngineVersion) -> None:
    """A model folder with links to the version's files, renamed in whole."""
    final = store.published.root / candidate_name(version.model)
    if final.is_dir():
        return
    folder = _workspace(store)
    _copy_described(_described(store, version), folder, final.name, store.config_name)
    shutil.copytree(version.folder, folder / str(version.version), copy_function=os.link)
    folder.rename(final)


def _workspace(store: EngineStore) -> Path:
    folder = store.staged.root / _WORKSPACE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _copy_described(model: Path, folder: Path, name: str, config_name: str | None) -> None:
    """The configuration that the model is served by, as config.pbtxt of another name, and labels.txt.

    Alone there it holds whatever name of a configuration a server was started with.
    """
    text = configuration(model, config_name).read_text(encoding="utf-8")
    renamed = _NAME_LINE.sub(f'name: "{name}"', text, count=1)
    (folder / CONFIG).write_text(renamed, encoding="utf-8")
    if (model / LABELS_FILE).is_file():
        shutil.copy2(model / LABELS_FILE, folder / LABELS_FILE)


def _described(store: EngineStore, version: EngineVersion) -> Path:
    """The model's folder whose config.pbtxt counts: the published one, which an operator may have tuned."""
    published = store.published.root / version.model
    return published if (published / CONFIG).is_file() else version.folder.parent
