"""Sibling modules are found through this folder."""

import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from admin_fakes import World

from framelens_gateway.index_admin import comparison, levelling


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between looks or for disks; the bytes of these tests are no pictures that could be altered."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(levelling, "_BETWEEN_LOOKS_S", 0.001)
    monkeypatch.setattr(comparison, "altered", lambda crop: [crop, crop])


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[Callable[..., World]]:
    made: list[World] = []

    def make(chance: random.Random | None = None) -> World:
        made.append(World(tmp_path / str(len(made)), chance))
        return made[-1]

    yield make
    for world in made:
        await world.close()


@pytest.fixture
async def world(make_world: Callable[..., World]) -> World:
    """Six products with twelve pictures."""
    filled = make_world()
    await filled.fill()
    return filled
