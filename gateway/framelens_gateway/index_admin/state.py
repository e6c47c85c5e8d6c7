"""What there is: the collections, and what each is for."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from framelens_gateway.index import next_of, previous_of
from framelens_gateway.index_admin.admin_index import AdminIndex, Described

# Milvus Lite does work in Python for every row at every search.
_LITE_ROWS = 20_000


@dataclass(frozen=True)
class CollectionState:
    """`state` is live, next, previous or orphan; several where a switch was interrupted."""

    collection: str
    alias: str
    state: str
    space: str
    size: int
    index_type: str
    rows: int


@dataclass(frozen=True)
class State:
    collections: Sequence[CollectionState]
    aliases: dict[str, str]
    warnings: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def read_state(index: AdminIndex) -> State:
    found = await index.overview()
    collections = [await _state(index, each) for each in found]
    warnings = [_interrupted(each) for each in collections if "," in each.state]
    warnings += [
        f"{each.collection} is behind no alias: drop it with `framelens-index retire {each.alias}` or `abandon`"
        for each in collections
        if each.state == "orphan"
    ]
    warnings += [
        f"{each.name} is of an earlier version and has no {' and no '.join(each.missing)}: `framelens-index rebuild "
        f"{each.owner}` moves to one that has"
        for each in found
        if each.missing and each.owner in each.aliases
    ]
    if await index.is_lite():
        warnings += [
            f"{each.collection} has {each.rows} rows; Milvus Lite serves up to about {_LITE_ROWS} well: use a Milvus "
            "server"
            for each in collections
            if each.rows > _LITE_ROWS
        ]
    aliases = {alias: each.name for each in found for alias in each.aliases}
    return State(collections, dict(sorted(aliases.items())), warnings)


async def _state(index: AdminIndex, found: Described) -> CollectionState:
    names = {found.owner: "live", next_of(found.owner): "next", previous_of(found.owner): "previous"}
    state = ", ".join(word for alias, word in names.items() if alias in found.aliases)
    return CollectionState(
        found.name,
        found.owner,
        state or "orphan",
        found.space,
        found.size,
        found.index_type,
        await index.count(found.name) if found.index_type else 0,
    )


def _interrupted(state: CollectionState) -> str:
    return (
        f"{state.collection} is {state.state} at once: a switch was interrupted; repeat its command, or "
        f"`framelens-index rollback {state.alias}`"
    )
