"""What the commands do, over connections that are open while they do it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, TypeVar

from framelens_gateway.index_admin import retirement
from framelens_gateway.index_admin.connection import Parts, connected
from framelens_gateway.index_admin.export import export_vectors
from framelens_gateway.index_admin.lock import only_one
from framelens_gateway.index_admin.roles import Roles
from framelens_gateway.index_admin.spaces import ensure_space
from framelens_gateway.index_admin.state import State, read_state
from framelens_gateway.settings import GatewaySettings

T = TypeVar("T")
Droppable = Literal["previous", "next"]


def run(settings: GatewaySettings, task: Callable[[Parts], Awaitable[T]], alias: str | None = None) -> T:
    """While one works on `alias` another is refused: raises Busy."""

    async def connect_and_run() -> T:
        async with connected(settings) as parts:
            return await task(parts)

    if alias is None:
        return asyncio.run(connect_and_run())
    with only_one(settings.crops_dir, alias):
        return asyncio.run(connect_and_run())


async def state(parts: Parts) -> State:
    return await read_state(parts.index)


async def exported(parts: Parts, alias: str, path: Path, rows: int) -> int:
    """How many vectors."""
    roles = await Roles.read(parts.index, alias)
    return await export_vectors(parts.index, roles.live.name, path, rows)


async def rolled_back(parts: Parts, alias: str) -> retirement.RolledBack:
    roles = await Roles.read(parts.index, alias)
    if roles.previous is not None:
        await ensure_space(parts.recognizer, parts.models, roles.previous.space)
    return await retirement.roll_back(parts.index, roles)


async def dropped(
    parts: Parts, alias: str, role: Droppable, agree: Callable[[list[str]], None], wait_s: float
) -> list[str]:
    """The names; `agree` raises where they are to stay."""
    roles = await Roles.read(parts.index, alias)
    gone = roles.previous if role == "previous" else roles.next
    names = [each.name for each in ([gone] if gone and gone != roles.live else []) + list(roles.orphans)]
    if names:
        agree(names)
    drop = retirement.retire if role == "previous" else retirement.abandon
    return await drop(parts.index, roles, wait_s)
