"""Moves an alias to a collection of another space or another index type."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from framelens_gateway.index import next_of
from framelens_gateway.index_admin.admin_index import AdminIndex, Described
from framelens_gateway.index_admin.comparison import Bounds, Comparing, Comparison
from framelens_gateway.index_admin.errors import Refused
from framelens_gateway.index_admin.filling import CropEmbedder, Filling, FromCrops, FromVectors
from framelens_gateway.index_admin.levelling import Levelled, Levelling
from framelens_gateway.index_admin.progress import Progress
from framelens_gateway.index_admin.roles import Roles, forward
from framelens_gateway.product_collection import Plan


@dataclass(frozen=True)
class Goal:
    """What the live collection shall be, with every field; `size` is only needed where it has to be made."""

    space: str
    index_type: str
    size: int

    def is_met_by(self, collection: Described) -> bool:
        return (collection.space, collection.index_type) == (self.space, self.index_type) and not collection.missing

    def can_use(self, collection: Described) -> bool:
        """Whether a collection that was left over can be completed; one without an index was left half made."""
        wanted = (self.space, self.size, ())
        there = (collection.space, collection.size, collection.missing)
        return there == wanted and collection.index_type in ("", self.index_type)


@dataclass(frozen=True)
class Moved:
    """What a command did; `comparison` is absent where an earlier run had switched already."""

    live: str
    previous: str | None
    levelled: Levelled
    comparison: Comparison | None


Confirm = Callable[[], bool]


class Migration:
    """Resumes what an earlier run began: where it stands is told by the aliases and by the rows, and by nothing else.

    `embedder` None copies vectors within one space.
    """

    def __init__(
        self, index: AdminIndex, embedder: CropEmbedder | None, bounds: Bounds, queries: int, progress: Progress
    ) -> None:
        self._index, self._embedder, self._progress = index, embedder, progress
        self._bounds, self._queries = bounds, queries

    async def run(self, roles: Roles, goal: Goal, confirm: Confirm) -> Moved:
        """Raises Refused, CropUnusable, Unavailable, DeadlineExceeded; a repeated call goes on from there."""
        if goal.is_met_by(roles.live):
            return await self._finish(roles)
        _check_free(roles, goal)
        target = roles.next or await self._begin(roles, goal)
        self._progress.say(f"filling {target.name} from {roles.live.name}; writes go to both")
        levelling = Levelling(
            self._index, roles.live.collection, target.collection, self._filling(roles.live, target), self._progress
        )
        levelled = await levelling.run()
        self._progress.say(f"level: {levelled.copied} rows copied, {levelled.deleted} deleted")
        comparison = await self._compared(roles, target)
        if not confirm():
            raise Refused(f"not switched; {_stays(roles, target)}")
        # The comparison took its time. Should a write have failed half way meanwhile, this mends it.
        await levelling.run()
        await self._switch(roles, target)
        return Moved(target.name, roles.live.name, levelled, comparison)

    async def _finish(self, roles: Roles) -> Moved:
        if roles.after_switch:
            await forward(self._index, roles)
        return Moved(roles.live.name, roles.previous.name if roles.previous else None, Levelled(), None)

    async def _begin(self, roles: Roles, goal: Goal) -> Described:
        left_over = next((each for each in roles.orphans if goal.can_use(each)), None)
        name = left_over.name if left_over else await self._free_name(roles.alias, goal.space)
        await self._index.make(Plan(name, roles.alias, goal.space, goal.size, goal.index_type))
        await self._index.point(next_of(roles.alias), name)
        return Described(name, goal.space, goal.size, goal.index_type, roles.alias, (next_of(roles.alias),))

    async def _free_name(self, alias: str, space: str) -> str:
        """One more than the highest number: a name that was dropped a moment ago may still be in use."""
        stem = f"{alias}__{re.sub(r'[^0-9A-Za-z_]', '_', space)}__"
        endings = [each.name.removeprefix(stem) for each in await self._index.overview() if each.name.startswith(stem)]
        return f"{stem}{1 + max((int(each) for each in endings if each.isdecimal()), default=0)}"

    def _filling(self, live: Described, target: Described) -> Filling:
        if self._embedder is None:
            return FromVectors(self._index, live.collection)
        return FromCrops(self._index, self._embedder, live.collection, target.collection)

    async def _compared(self, roles: Roles, target: Described) -> Comparison:
        """Raises Refused with every figure that is under its bound."""
        self._progress.say(f"comparing {roles.live.name} and {target.name}")
        comparing = Comparing(self._index, roles.live.collection, target.collection, self._embedder, self._queries)
        comparison = await comparing.run()
        for line in comparison.lines():
            self._progress.say(line)
        if failures := comparison.failures(self._bounds):
            raise Refused(f"not switched: {'; '.join(failures)}; {_stays(roles, target)}")
        return comparison

    async def _switch(self, roles: Roles, target: Described) -> None:
        now = await Roles.read(self._index, roles.alias)
        if (now.live.name, now.next and now.next.name) != (roles.live.name, target.name):
            raise Refused(f"somebody else has moved the aliases of {roles.alias}; see `framelens-index status`")
        await forward(self._index, now)


def _check_free(roles: Roles, goal: Goal) -> None:
    alias = roles.alias
    if roles.next and not goal.is_met_by(roles.next):
        raise Refused(
            f"{next_of(alias)} stands on {roles.next.name} ({roles.next.space}, {roles.next.index_type}), from another "
            f"move; finish that one, or drop it with `framelens-index abandon {alias}`"
        )
    if roles.previous and not roles.before_switch:
        raise Refused(
            f"{roles.previous.name} is still kept to go back to: drop it with `framelens-index retire {alias}`, or go "
            f"back with `framelens-index rollback {alias}`"
        )


def _stays(roles: Roles, target: Described) -> str:
    return (
        f"{target.name} stays behind {next_of(roles.alias)} and is written too: repeat the command to switch, or drop "
        f"it with `framelens-index abandon {roles.alias}`"
    )
