"""Goes back to the previous collection, and drops what is no longer needed."""

import asyncio
from dataclasses import dataclass

from framelens_gateway.index import next_of, previous_of
from framelens_gateway.index_admin.admin_index import AdminIndex
from framelens_gateway.index_admin.errors import Refused
from framelens_gateway.index_admin.roles import Roles, back


@dataclass(frozen=True)
class RolledBack:
    live: str
    next: str | None
    # Whether this call moved the alias.
    switched: bool


async def roll_back(index: AdminIndex, roles: Roles) -> RolledBack:
    """Makes the previous collection live again; what was live stands by as the next one, and is written on.

    Raises Refused where there is none to go back to.
    """
    if roles.previous is not None:
        await back(index, roles)
        now = await Roles.read(index, roles.alias)
        return RolledBack(now.live.name, now.next.name if now.next else None, now.live.name != roles.live.name)
    if roles.next is not None:
        return RolledBack(roles.live.name, roles.next.name, False)
    raise Refused(f"{previous_of(roles.alias)} stands on nothing: there is no collection to go back to")


async def retire(index: AdminIndex, roles: Roles, wait_s: float) -> list[str]:
    """Drops the previous collection and those left over; the names that were dropped.

    Gateways may write to a collection until `wait_s` after its alias is gone.
    """
    if roles.before_switch:
        raise Refused(
            f"{roles.alias} is about to move: repeat that command, or take it back with `framelens-index rollback "
            f"{roles.alias}`"
        )
    if roles.after_switch:
        await index.drop_alias(next_of(roles.alias))
    await index.drop_alias(previous_of(roles.alias))
    return await _drop_orphans(index, roles.alias, wait_s)


async def abandon(index: AdminIndex, roles: Roles, wait_s: float) -> list[str]:
    """Drops the next collection and those left over; the names that were dropped."""
    if roles.after_switch:
        raise Refused(
            f"{roles.alias} stands on {roles.live.name} already: repeat the command that moved it, or take it back "
            f"first, with `framelens-index rollback {roles.alias}`"
        )
    if roles.before_switch:
        await index.drop_alias(previous_of(roles.alias))
    await index.drop_alias(next_of(roles.alias))
    return await _drop_orphans(index, roles.alias, wait_s)


async def _drop_orphans(index: AdminIndex, alias: str, wait_s: float) -> list[str]:
    orphans = (await Roles.read(index, alias)).orphans
    if orphans:
        await asyncio.sleep(wait_s)
    for orphan in orphans:
        await index.drop(orphan.name)
    return [orphan.name for orphan in orphans]
