"""What a version is to its model, and the removal of those that nobody needs."""

import shutil
from collections.abc import Sequence
from enum import StrEnum

from framelens_engines.errors import SwapError
from framelens_engines.repository import EngineVersion
from framelens_engines.store import EngineStore


class State(StrEnum):
    """Of a version; the highest published one is what a server loads."""

    SERVING = "serving"
    WAY_BACK = "way back"
    SUPERSEDED = "superseded"
    CANDIDATE = "candidate"
    VALIDATED = "validated"
    FAILED = "failed"
    STAGED = "staged"


def state_of(store: EngineStore, version: EngineVersion) -> State:
    if store.is_published(version):
        numbers = [each.version for each in store.published.versions(version.model)]
        place = numbers[::-1].index(version.version)
        return (State.SERVING, State.WAY_BACK, State.SUPERSEDED)[min(place, 2)]
    if store.candidate(version.model) == version.version:
        return State.CANDIDATE
    if version.record.passed:
        return State.VALIDATED
    return State.STAGED if version.record.parity is None else State.FAILED


def retire(store: EngineStore, name: str, serving: Sequence[int | None], *, way_back_too: bool) -> EngineVersion:
    """Moves a published version that nothing needs back to the staged ones; `serving` is what servers say they serve.

    Raises SwapError for one that serves, and for the way back unless that is meant.
    """
    with store.changing():
        version = store.get(name)
        state = state_of(store, version)
        if state is State.SERVING or version.version in serving:
            raise SwapError(f"{name} is serving; publish another version or roll back first")
        if not store.is_published(version):
            raise SwapError(f"{name} is not published ({state}); `framelens-engines gc` removes what is staged")
        if state is State.WAY_BACK and not way_back_too:
            raise SwapError(f"{name} is the way back from what serves; add --way-back if you mean it")
        return store.withdraw(version)


def collect_garbage(
    store: EngineStore, model: str, serving: Sequence[int | None], *, dry_run: bool
) -> dict[str, State]:
    """Deletes the versions of a model that nothing needs and returns them by name, with what they were.

    Kept are: what serves, the way back, a candidate, the newest FP32 engine (others are validated against it), and
    staged versions that may still be published: newer than what serves, and not failed.
    """
    with store.changing():
        versions = store.versions(model)
        reference = max((v.version for v in versions if _is_reference(v)), default=None)
        removed = {}
        for version in versions:
            state = state_of(store, version)
            needed = version.version == reference or version.version in serving
            if not needed and state in _removable(store, version):
                removed[version.name] = state
                if not dry_run:
                    shutil.rmtree(version.folder)
        return removed


def _removable(store: EngineStore, version: EngineVersion) -> set[State]:
    newest = max(store.published.numbers(version.model), default=0)
    outdated = {State.VALIDATED, State.STAGED} if version.version < newest else set()
    return {State.SUPERSEDED, State.FAILED} | outdated


def _is_reference(version: EngineVersion) -> bool:
    return (version.record.precision, version.record.target) == ("fp32", "onnxruntime")
