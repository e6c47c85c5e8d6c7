"""Gateways write while a command works: what they acknowledge is never missing where it could become live."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from admin_fakes import NEW, SPACE, World
from gateway_fakes import FakeIndex

from framelens_gateway.index_admin.errors import Refused

OLD_NAME, NEW_NAME = f"products__{SPACE}", f"products__{NEW}__1"


async def write_on(world: World, chance: random.Random, gateway: int, stop: asyncio.Event) -> None:
    """Each gateway has products of its own: which of two writes of one product is the later, nobody can say."""
    turn = 0
    while not stop.is_set():
        product = f"p{gateway}{chance.randint(0, 5)}"
        if product in world.unsettled:
            await asyncio.sleep(0)
            continue
        turn += 1
        if chance.random() < 0.3:
            await world.delete(product, gateway)
        else:
            pictures = [f"{product} {turn} {n}".encode() for n in range(chance.randint(1, 3))]
            await world.store(product, *pictures, gateway=gateway)
        await asyncio.sleep(0.002 * chance.random())


async def under_writes(world: World, chance: random.Random, work: Callable[[], Awaitable[Any]]) -> None:
    stop = asyncio.Event()
    writers = [asyncio.create_task(write_on(world, chance, n // 2, stop)) for n in range(4)]
    await asyncio.sleep(0.02)
    try:
        await work()
        await asyncio.sleep(0.01)
    finally:
        stop.set()
        await asyncio.gather(*writers)


def watch_switches(world: World) -> list[str]:
    """Checks a collection at the very moment in which it becomes live; the collections that did."""
    switched = []

    def check(alias: str, collection: str) -> None:
        if alias == "products":
            world.check(collection)
            switched.append(collection)

    world.index.on_point = check
    return switched


@pytest.mark.parametrize("seed", range(12))
async def test_moving_there_and_back_under_writes(make_world: Callable[..., World], seed: int) -> None:
    chance = random.Random(seed)
    world = make_world(chance)
    await world.fill()
    switched = watch_switches(world)

    async def work() -> None:
        await world.migrate()
        await world.roll_back()
        await world.migrate()
        await world.retire()
        await world.rebuild()
        await world.roll_back()
        await world.abandon()

    await under_writes(world, chance, work)
    world.check_all()
    assert switched == [NEW_NAME, OLD_NAME, NEW_NAME, f"products__{NEW}__2", NEW_NAME]
    assert set(world.index.rows) == {NEW_NAME}


class Between:
    """Does something once, in the middle of a call to Milvus."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work: Callable[[], Awaitable[None]] | None = work

    async def meet(self) -> None:
        if work := self._work:
            self._work = None
            await work()

    @property
    def done(self) -> bool:
        return self._work is None


WRITES: dict[str, Callable[[World], Awaitable[None]]] = {
    "new": lambda world: world.store("p9", b"new"),
    "replaced": lambda world: world.store("p1", b"replaced"),
    "fewer": lambda world: world.store("p2", b"one alone", gateway=1),
    "deleted": lambda world: world.delete("p3"),
    "deleted and stored": lambda world: _again(world),
}


async def _again(world: World) -> None:
    await world.delete("p4")
    await world.store("p4", b"again", b"and again")


@pytest.mark.parametrize("moment", ["make", "point", "stamps", "stored", "flush", "count", "search", "overview"])
@pytest.mark.parametrize("what", WRITES)
async def test_a_write_in_the_middle_of_any_step(world: World, what: str, moment: str) -> None:
    """A fault waits before the step's effect; for the steps that come often, at each of the first few."""
    for times in range(1, 5):
        between = Between(lambda: WRITES[what](world))
        counted = Counted(times, between)
        world.index.faults[moment] = counted  # type: ignore[assignment]
        await world.migrate()
        world.index.faults.clear()
        world.check_all()
        await world.roll_back()
        await world.abandon()
        world.check_all()
        assert between.done or counted.calls < times


class Counted:
    def __init__(self, at: int, between: Between) -> None:
        self._at, self._between = at, between
        self.calls = 0

    async def meet(self) -> None:
        self.calls += 1
        if self.calls == self._at:
            await self._between.meet()


async def test_a_copy_that_overtakes_a_write_is_mended(world: World) -> None:
    """Read before the write, stored after it: an old row over a new one."""
    real = world.index.upsert

    async def late(collection: str, rows: Any) -> None:
        if collection == NEW_NAME and not between.done and len(rows) > 3:
            await between.meet()
        await real(collection, rows)

    between = Between(lambda: _all_writes(world))
    world.index.upsert = late  # type: ignore[method-assign]
    moved = await world.migrate()
    assert between.done
    assert moved.levelled.passes > 1
    world.check_all()


async def _all_writes(world: World) -> None:
    for write in WRITES.values():
        await write(world)


async def test_a_row_that_comes_back_while_its_ghost_is_deleted_is_not_lost(world: World) -> None:
    await world.migrate()
    await world.roll_back()
    await FakeIndex.delete(world.index, OLD_NAME, 'product_id == "p0"')
    world.stored.pop("p0")
    real = world.index.delete

    async def late(collection: str, expression: str) -> None:
        if collection == NEW_NAME and not between.done:
            await between.meet()
        await real(collection, expression)

    between = Between(lambda: world.store("p0", b"picture 0 0"))
    world.index.delete = late  # type: ignore[method-assign]
    await world.migrate()
    assert between.done
    world.check_all()


async def test_a_product_that_is_replaced_and_put_back_while_its_crop_is_read_is_copied(world: World) -> None:
    crop = world.index.rows[OLD_NAME]["p0\x1f00"]["picture_id"]
    real = world.crops.read

    async def away(name: str) -> bytes | None:
        if name != crop or between.done:
            return await real(name)
        await between.meet()
        read = await real(name)
        await world.store("p0", b"picture 0 0")
        assert read is None
        assert await real(name) is not None
        return read

    between = Between(lambda: world.store("p0", b"another"))
    world.crops.read = away  # type: ignore[method-assign]
    await world.migrate()
    assert between.done
    world.check_all()


async def test_ghosts_and_what_is_missing_or_old_are_mended(world: World) -> None:
    await world.migrate()
    await world.roll_back()
    rows = world.index.rows[NEW_NAME]
    ghost = {**rows["p1\x1f00"], "row_id": "zz\x1f00", "product_id": "zz"}
    rows["zz\x1f00"] = ghost
    rows["p1\x1f00"] = {**rows["p1\x1f00"], "updated_at": 1.0}
    del rows["p2\x1f01"]
    moved = await world.migrate()
    assert (moved.levelled.copied, moved.levelled.deleted) == (2, 1)
    world.check_all()


async def test_what_is_level_is_not_embedded_again(world: World) -> None:
    await world.migrate()
    await world.roll_back()
    world.recognizer.calls.clear()
    moved = await world.migrate()
    assert moved.levelled.copied == 0
    # One probe, and for each of the 12 rows the crop and two alterations of it in both spaces.
    assert len(world.recognizer.calls) == 1 + 12 * 3 * 2


async def test_a_collection_that_never_gets_level_is_not_switched_to(world: World) -> None:
    async def lost(collection: str, rows: Any) -> None: ...

    world.index.upsert = lost  # type: ignore[method-assign]
    with pytest.raises(Refused, match="still differs"):
        await world.migrate()
    assert world.index.role("products") == OLD_NAME


async def test_writes_between_the_last_comparison_and_the_switch_are_in_both(world: World) -> None:
    for alias in ("products__previous", "products"):
        between = Between(lambda: _all_writes(world))

        class Meeting:
            def __init__(self, alias: str, between: Between) -> None:
                self._alias, self._between = alias, between

            async def meet(self) -> None:
                if world.index.calls[-1][:2] == ("point", self._alias):
                    await self._between.meet()

        world.index.faults["point"] = Meeting(alias, between)  # type: ignore[assignment]
        await world.migrate()
        assert between.done
        world.index.faults.clear()
        world.check_all()
        await world.roll_back()


async def test_a_switch_under_half_written_products_leaves_both_alike(world: World) -> None:
    """A write that began before the next collection stood behind its alias ends after the switch."""
    gate = asyncio.Event()
    held = asyncio.Event()
    real = world.index.upsert

    async def slow(collection: str, rows: Any) -> None:
        await real(collection, rows)
        if rows[0]["product_id"] == "slow" and collection == OLD_NAME:
            held.set()
            await gate.wait()

    world.index.upsert = slow  # type: ignore[method-assign]
    writing = asyncio.create_task(world.store("slow", b"slow"))
    await held.wait()
    await world.migrate()
    gate.set()
    await writing
    world.check_all()


async def test_a_write_that_failed_half_way_during_the_comparison_is_mended(world: World) -> None:
    """Nobody was told that it is stored; but what is in one collection alone would be found or lost by a switch."""

    async def write_half() -> None:
        row = world.index.rows[OLD_NAME]["p1\x1f00"]
        world.index.rows[OLD_NAME]["p1\x1f00"] = {**row, "updated_at": row["updated_at"] + 1}

    world.index.faults["count"] = Between(write_half)  # type: ignore[assignment]
    await world.migrate()
    world.check_all()
