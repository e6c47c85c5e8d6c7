"""What stands behind an alias, and the steps by which it moves.

    live A                          nothing under way
    live A, next B                  B is being filled, or stands by; writes go to both
    live A, next B, previous A      about to switch, or just switched back
    live B, next B, previous A      just switched, or about to switch back
    live B, previous A              switched; writes go to both

`forward` goes down this list and `back` goes up. Each line differs from its neighbours by one alias, and both
collections are written on every line between the first and the last, so that a command may die anywhere in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from framelens_gateway.index import next_of, previous_of
from framelens_gateway.index_admin.admin_index import AdminIndex, Described
from framelens_gateway.index_admin.errors import Refused


@dataclass(frozen=True)
class Roles:
    """The collections behind an alias and its two companions, and those that are left over."""

    alias: str
    live: Described
    next: Described | None
    previous: Described | None
    orphans: Sequence[Described]

    @classmethod
    async def read(cls, index: AdminIndex, alias: str) -> "Roles":
        """Raises Refused where there is no such alias."""
        found = await index.overview()
        behind = {name: each for each in found for name in each.aliases}
        if alias not in behind:
            known = sorted({each.owner for each in found})
            raise Refused(f"there is no alias {alias}; there is {', '.join(known) or 'none'}")
        orphans = [each for each in found if each.owner == alias and not each.aliases]
        return cls(alias, behind[alias], behind.get(next_of(alias)), behind.get(previous_of(alias)), orphans)

    @property
    def before_switch(self) -> bool:
        """Whether `previous` stands on the live collection already, so that a switch has begun or been undone."""
        return self.previous == self.live

    @property
    def after_switch(self) -> bool:
        """Whether `next` still stands on what has become the live collection."""
        return self.next == self.live


async def forward(index: AdminIndex, roles: Roles) -> None:
    """Makes `next` the live collection and the live one `previous`; from any line that has a `next`."""
    if roles.next is None:
        raise AssertionError("nothing to switch to")
    if not roles.after_switch:
        await index.point(previous_of(roles.alias), roles.live.name)
        await index.point(roles.alias, roles.next.name)
    await index.drop_alias(next_of(roles.alias))


async def back(index: AdminIndex, roles: Roles) -> None:
    """Makes `previous` the live collection again and the live one `next`; from any line that has a `previous`."""
    if roles.previous is None:
        raise AssertionError("nothing to go back to")
    if not roles.before_switch:
        await index.point(next_of(roles.alias), roles.live.name)
        await index.point(roles.alias, roles.previous.name)
    await index.drop_alias(previous_of(roles.alias))
