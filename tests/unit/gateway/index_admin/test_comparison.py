"""What stands before a switch: the figures, and the bounds that they must keep."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from admin_fakes import NEW, SPACE, World
from gateway_fakes import SIZE, FakeIndex, embedding_in, product_row

from framelens_client.reasons import Reason
from framelens_gateway.errors import Unavailable
from framelens_gateway.index import Collection
from framelens_gateway.index_admin.comparison import Bounds, Comparing, Comparison
from framelens_gateway.index_admin.errors import CropUnusable, Refused
from framelens_gateway.index_admin.filling import CropEmbedder
from framelens_gateway.index_admin.migration import Goal, Migration
from framelens_gateway.index_admin.roles import Roles
from framelens_gateway.recognizer import FoundObject, RecognizerCall

OLD_NAME, NEW_NAME = f"products__{SPACE}", f"products__{NEW}__1"


def comparison(**changed: float | None) -> Comparison:
    figures = {"index_recall": 1.0, "overlap": 0.5, "old_recall": 0.9, "new_recall": 0.9}
    return Comparison(old="a", new="b", old_rows=5, new_rows=5, queries=5, **{**figures, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "bounds", "failures"),
    [
        ({}, Bounds(), []),
        ({"index_recall": 0.94}, Bounds(), ["recall of the index against exact search is 0.940, under 0.950"]),
        ({"overlap": 0.1}, Bounds(), ["overlap@10 of old and new answers is 0.100, under 0.200"]),
        ({"new_recall": 0.88}, Bounds(), []),
        ({"new_recall": 0.87}, Bounds(), ["recall@1 of altered crops is 0.870, under 0.880"]),
        ({"new_recall": 0.87}, Bounds(min_recall=0.87), []),
        ({"new_recall": 0.9}, Bounds(min_recall=0.95), ["recall@1 of altered crops is 0.900, under 0.950"]),
        ({"old_recall": None, "new_recall": None}, Bounds(min_recall=1), []),
    ],
)
def test_each_figure_has_its_bound(changed: dict[str, float | None], bounds: Bounds, failures: list[str]) -> None:
    assert comparison(**changed).failures(bounds) == failures


def test_all_that_fails_is_said_at_once() -> None:
    assert len(comparison(index_recall=0.0, overlap=0.0, new_recall=0.0).failures(Bounds())) == 3


async def test_a_worse_space_is_not_switched_to_and_stays_written(world: World) -> None:
    """All pictures look alike in it."""
    real = world.recognizer._objects

    def blurred(call: RecognizerCall) -> list[FoundObject]:
        found = real(call)
        if call.embedder == NEW and call.regions is not None:
            return [replace(each, embedding=embedding_in(NEW, b"x")) for each in found]
        return found

    world.recognizer._objects = blurred  # type: ignore[method-assign]
    with pytest.raises(
        Refused, match=r"recall@1 of altered crops is 0\.\d+, under 0\.980; .* stays behind products__next"
    ):
        await world.migrate(bounds=Bounds())
    assert world.index.role("products") == OLD_NAME
    await world.store("p9", b"more")
    assert "p9\x1f00" in world.index.rows[NEW_NAME]
    await world.migrate()
    assert world.index.role("products") == NEW_NAME


async def test_products_with_one_picture_are_equally_right(world: World) -> None:
    for n in range(30):
        await world.store(f"same{n}", b"one picture")
    moved = await world.migrate(bounds=Bounds(min_overlap=0))
    assert moved.comparison is not None
    assert (moved.comparison.old_recall, moved.comparison.new_recall) == (1, 1)
    rebuilt = await world.retire() and await world.rebuild()
    assert rebuilt.comparison is not None
    assert rebuilt.comparison.overlap == 1


async def test_answers_that_differ_have_less_overlap(world: World) -> None:
    index = world.index
    index.add(*(product_row(f"q{n:02d}") for n in range(30)))
    index._know("other", SPACE, SIZE, "products", "FLAT")
    await FakeIndex.upsert(index, "other", [row for key, row in index.rows[OLD_NAME].items() if key[:2] != "q1"])
    old, new = Collection(OLD_NAME, SPACE, SIZE), Collection("other", SPACE, SIZE)
    compared = await Comparing(index, old, new, None, 40).run()
    assert 0.5 < compared.overlap < 0.95
    assert (compared.old_rows - compared.new_rows, compared.old_recall) == (10, None)


async def test_an_empty_catalogue_moves(make_world: Callable[..., World]) -> None:
    world = make_world()
    moved = await world.migrate(bounds=Bounds())
    assert moved.comparison is not None
    assert moved.comparison.queries == 0
    await world.store("p", b"x")
    world.check_all()


async def test_a_space_that_is_not_loaded_is_loaded_or_refused(world: World) -> None:
    away = Unavailable(Reason.SPACE_NOT_LOADED, "not there")
    world.recognizer.failures[NEW] = away
    await world.migrate()
    assert world.models.loaded == [NEW]
    world.recognizer.failures["embedder_bad"] = away
    world.models.recognizer = type(world.recognizer)()
    await world.retire()
    with pytest.raises(Refused, match="embedder_bad is loaded, but does not embed: not there"):
        await world.migrate(space="embedder_bad")
    world.recognizer.failures["embedder_bad"] = Unavailable(Reason.TRITON_UNAVAILABLE, "away")
    with pytest.raises(Unavailable, match="away"):
        await world.migrate(space="embedder_bad")
    assert set(world.index.rows) == {NEW_NAME}


async def test_a_crop_that_is_lost_names_its_product(world: World) -> None:
    row = world.index.rows[OLD_NAME]["p1\x1f00"]
    world.crops.path(row["picture_id"]).unlink()
    with pytest.raises(CropUnusable, match=f"product p1 has no usable crop {row['picture_id']}"):
        await world.migrate()
    await world.store("p1", b"again")
    await world.migrate()
    world.check_all()


async def test_a_crop_that_is_broken_names_its_product(world: World) -> None:
    row = world.index.rows[OLD_NAME]["p1\x1f00"]
    world.crops.path(row["picture_id"]).write_bytes(b"bad")
    with pytest.raises(CropUnusable, match="product p1 .*not a picture"):
        await world.migrate()


async def test_few_crops_are_embedded_at_once(world: World) -> None:
    for n in range(40):
        await world.store(f"more{n}", f"{n}".encode())
    world.recognizer.most_running = 0
    await world.migrate()
    # How many come together is the scheduler's; no more than eight ever do.
    assert 1 < world.recognizer.most_running <= 8
    embedder = CropEmbedder(world.recognizer, world.crops, 8)
    assert await embedder.crop({"picture_id": "ab" * 16}) is None


async def test_moves_that_are_in_each_others_way_are_refused(world: World) -> None:
    await world.migrate()
    with pytest.raises(Refused, match="still kept to go back to: drop it with `framelens-index retire products`"):
        await world.rebuild()
    await world.roll_back()
    with pytest.raises(Refused, match="from another move; .* `framelens-index abandon products`"):
        await world.rebuild()
    with pytest.raises(Refused, match="from another move"):
        await world.migrate(space="embedder_third")
    done = await world.roll_back()
    assert (done.live, done.next, done.switched) == (OLD_NAME, NEW_NAME, False)
    await world.abandon()
    with pytest.raises(Refused, match="no collection to go back to"):
        await world.roll_back()
    assert await world.abandon() == await world.retire() == []


async def test_a_switch_under_way_is_neither_retired_nor_abandoned(world: World) -> None:
    await world.migrate()
    await world.index.point("products__next", NEW_NAME)
    with pytest.raises(Refused, match=f"stands on {NEW_NAME} already"):
        await world.abandon()
    await world.index.point("products", OLD_NAME)
    with pytest.raises(Refused, match="about to move"):
        await world.retire()
    world.check_all()


async def test_nobody_agrees(world: World) -> None:
    roles = await Roles.read(world.index, "products")
    migration = Migration(world.index, None, Bounds(), 5, world.progress)
    with pytest.raises(Refused, match="not switched; products__embedder_test__1 stays"):
        await migration.run(roles, Goal(SPACE, "FLAT", SIZE), lambda: False)
    assert world.index.role("products") == OLD_NAME
    assert "  rows                      12 old, 12 new" in world.progress.lines


async def test_aliases_that_somebody_else_moves_are_not_switched(world: World) -> None:
    async def elsewhere() -> None:
        world.index.aliases["products__next"] = Collection(OLD_NAME, SPACE, SIZE)

    class Meddling:
        async def meet(self) -> None:
            await elsewhere()

    world.index.faults["count"] = Meddling()  # type: ignore[assignment]
    with pytest.raises(Refused, match="somebody else has moved the aliases"):
        await world.migrate()
    assert world.index.role("products") == OLD_NAME
