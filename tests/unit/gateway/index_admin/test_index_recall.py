"""The measure that guards a switch has to see an index that misses."""

import asyncio
import random
from collections.abc import Sequence

import numpy as np
import pytest
from admin_fakes import FakeAdminIndex
from gateway_fakes import SPACE, FakeIndex, product_row

from framelens_gateway.index import Hit, Vector
from framelens_gateway.index_admin.index_recall import recall_of_index, sampled

NAME = f"products__{SPACE}"


@pytest.fixture
def index() -> FakeAdminIndex:
    fake = FakeAdminIndex()
    fake.add(*(product_row(f"p{n:03d}") for n in range(60)))
    return fake


async def test_exact_answers_have_recall_one(index: FakeAdminIndex) -> None:
    assert await recall_of_index(index, NAME, list(index.rows[NAME]), 10) == 1
    assert await recall_of_index(index, NAME, list(index.rows[NAME])[:3], 100) == 1
    assert await recall_of_index(index, NAME, [], 10) == 1


async def test_each_neighbour_that_is_missed_counts(index: FakeAdminIndex) -> None:
    real = index.search

    async def forgetful(collection: str, vectors: Sequence[Vector], limit: int, expression: str) -> list[list[Hit]]:
        answers = await real(collection, vectors, limit + 3, expression)
        return [hits[3:] for hits in answers]

    index.search = forgetful  # type: ignore[method-assign]
    assert await recall_of_index(index, NAME, list(index.rows[NAME]), 10) == pytest.approx(0.7)


async def test_equal_scores_are_equally_right(index: FakeAdminIndex) -> None:
    index.rows[NAME].clear()
    index.add(*(product_row(f"p{n:03d}", vector=np.eye(8, dtype=np.float32)[0]) for n in range(60)))
    assert await recall_of_index(index, NAME, ["p000\x1f00"], 10) == 1


@pytest.mark.parametrize("seed", range(5))
async def test_writes_meanwhile_are_no_fault_of_the_index(index: FakeAdminIndex, seed: int) -> None:
    chance = random.Random(seed)
    asked = sampled(list(index.rows[NAME]), 20)
    ended = False

    async def write() -> None:
        turn = 0
        while not ended:
            turn += 1
            if chance.random() < 0.5:
                await FakeIndex.delete(index, NAME, f'product_id == "p{chance.randint(0, 59):03d}"')
            else:
                await FakeIndex.upsert(index, NAME, [product_row(f"new{turn}")])

    writing = asyncio.create_task(write())
    recall = await recall_of_index(index, NAME, asked, 10)
    ended = True
    await writing
    assert recall == 1


def test_the_same_rows_are_sampled_each_time() -> None:
    rows = [f"r{n}" for n in range(100)]
    assert sampled(rows, 7) == sampled(rows[::-1], 7)
    assert len(set(sampled(rows, 7))) == 7
    assert sampled(rows[:3], 7) == sampled(rows[:3], 3)
