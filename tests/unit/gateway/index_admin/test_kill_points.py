"""A command is killed at every call that it makes, before it and after it; the same command then finishes the job.

Between the two the gateways write, and nothing that they acknowledged may be missing from a collection that is live or
can become it.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from admin_fakes import NEW, SPACE, Killed, Life, World

OLD_NAME, NEW_NAME = f"products__{SPACE}", f"products__{NEW}__1"
# Each is some calls at which a command can be killed, and one after another they are all alike.
FEW_QUERIES = 3


async def nothing(world: World) -> None: ...


async def moved(world: World) -> None:
    await world.migrate()


async def standing_by(world: World) -> None:
    await world.migrate()
    await world.roll_back()


async def half_filled(world: World) -> None:
    life = Life(kill_at=14)
    with pytest.raises(Killed):
        await world.migrate(life)
    assert world.index.role("products__next") == NEW_NAME


COMMANDS: dict[str, tuple[Callable[[World], Awaitable[None]], Callable[..., Awaitable[Any]], dict[str, str | None]]] = {
    "migrate": (nothing, World.migrate, {"products": NEW_NAME, "previous": OLD_NAME, "next": None}),
    "migrate again": (standing_by, World.migrate, {"products": NEW_NAME, "previous": OLD_NAME, "next": None}),
    "rebuild": (nothing, World.rebuild, {"products": f"products__{SPACE}__1", "previous": OLD_NAME, "next": None}),
    "rollback": (moved, World.roll_back, {"products": OLD_NAME, "previous": None, "next": NEW_NAME}),
    "retire": (moved, World.retire, {"products": NEW_NAME, "previous": None, "next": None}),
    "abandon": (half_filled, World.abandon, {"products": OLD_NAME, "previous": None, "next": None}),
    "abandon a standby": (standing_by, World.abandon, {"products": OLD_NAME, "previous": None, "next": None}),
}


async def write(world: World, mark: str) -> None:
    """A new product, a replaced one, one with fewer pictures, and one less."""
    await world.store(f"new {mark}", b"new " + mark.encode(), b"second")
    await world.store("p1", b"replaced " + mark.encode())
    await world.store("p2", b"fewer " + mark.encode(), gateway=1)
    await world.delete(sorted(world.stored)[-1], gateway=1)


async def kill_and_repeat(world: World, name: str, life: Life) -> str:
    """The call at which it was killed; empty where it ended before."""
    prepare, command, roles = COMMANDS[name]
    world.queries = FEW_QUERIES
    await world.fill()
    await prepare(world)
    with suppress(Killed):
        await command(world, life)
    await write(world, "between")
    world.check(world.index.aliases["products"].name)
    await command(world)
    await write(world, "after")
    world.check_all()
    behind = {role: world.index.role(role if role == "products" else f"products__{role}") for role in roles}
    assert behind == roles
    assert set(world.index.rows) == {each for each in roles.values() if each}, "nothing is left over"
    await command(world)
    world.check_all()
    assert {role: world.index.role(role if role == "products" else f"products__{role}") for role in roles} == roles
    return life.ended


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", COMMANDS)
async def test_every_kill_is_survived(make_world: Callable[..., World], name: str, after: bool) -> None:
    killed_at = []
    while ended := await kill_and_repeat(make_world(), name, Life(len(killed_at) + 1, after)):
        killed_at.append(ended)
    changes = {call for call in killed_at if call in ("make", "point", "drop_alias", "drop", "upsert")}
    expected = {
        "migrate": {"make", "point", "drop_alias", "upsert"},
        "rebuild": {"make", "point", "drop_alias", "upsert"},
        "migrate again": {"point", "drop_alias"},
        "rollback": {"point", "drop_alias"},
    }
    assert changes == expected.get(name, {"drop_alias", "drop"})


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_migration_that_is_killed_anywhere_can_be_taken_back(
    make_world: Callable[..., World], after: bool
) -> None:
    """By rollback where the switch has begun, and then by abandon."""
    kills = 0
    while True:
        world, life = make_world(), Life(kills + 1, after)
        world.queries = FEW_QUERIES
        await world.fill()
        try:
            await world.migrate(life)
        except Killed:
            kills += 1
        await write(world, "between")
        if world.index.role("products__previous"):
            await world.roll_back()
            world.check_all()
        await write(world, "later")
        await world.abandon()
        world.check_all()
        assert world.index.role("products") == OLD_NAME
        assert set(world.index.rows) == {OLD_NAME}
        if not life.ended:
            break
    assert kills > 20


@pytest.mark.parametrize("first", [False, True], ids=["before", "after"])
async def test_a_rollback_that_is_killed_anywhere_can_go_forward_again(
    make_world: Callable[..., World], first: bool
) -> None:
    kills = 0
    while True:
        world, life = make_world(), Life(kills + 1, first)
        await world.fill()
        await world.migrate()
        try:
            await world.roll_back(life)
        except Killed:
            kills += 1
        await write(world, "between")
        world.check_all()
        await world.migrate()
        world.check_all()
        assert world.index.role("products") == NEW_NAME
        if not life.ended:
            break
    assert kills >= 5


@pytest.mark.parametrize("kills", range(1, 12))
async def test_killed_again_and_again_it_still_gets_there(world: World, kills: int) -> None:
    for round_ in range(12):
        try:
            await world.migrate(Life(kills * 3 + round_ * 2))
            break
        except Killed:
            await world.store(f"round {round_}", b"x")
    await world.migrate()
    world.check_all()
    assert world.index.role("products") == NEW_NAME
