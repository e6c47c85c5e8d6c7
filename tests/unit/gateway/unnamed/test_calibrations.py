"""Calibrating in the background, over a fake index."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from gateway_fakes import FakeIndex, product_row

from framelens_client.reasons import Reason
from framelens_gateway.errors import Unavailable
from framelens_gateway.index import Collection
from framelens_gateway.metrics import Metrics
from framelens_gateway.unnamed import calibrations as calibrations_module
from framelens_gateway.unnamed.calibrations import Calibrations


@pytest.fixture
async def watched(calibrations: Calibrations, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Calibrations]:
    monkeypatch.setattr(calibrations_module, "_EVERY_S", 0.02)
    watching = asyncio.create_task(calibrations.watch())
    yield calibrations
    watching.cancel()


def fill(index: FakeIndex, count: int) -> Collection:
    index.add(*(product_row(f"product-{n}") for n in range(count)))
    return index.aliases["products"]


async def settled(index: FakeIndex) -> None:
    """Everything, two collections at most, was looked at once more, to the end."""
    looks = len(index.of("products"))
    async with asyncio.timeout(5):
        while len(index.of("products")) < looks + 5:
            await asyncio.sleep(0.01)


async def test_the_live_collection_is_calibrated_before_anybody_asks(index: FakeIndex, watched: Calibrations) -> None:
    live = fill(index, 40)
    assert watched.threshold(live) is None
    await settled(index)
    threshold = watched.threshold(live)
    assert threshold is not None
    assert threshold > 0


async def test_it_is_done_again_only_where_a_collection_has_changed_in_size(
    index: FakeIndex, watched: Calibrations
) -> None:
    live = fill(index, 40)
    await settled(index)
    first = watched.threshold(live)
    fill(index, 44)
    await settled(index)
    assert watched.threshold(live) == first
    assert len(index.of("sample")) == 1
    fill(index, 80)
    await settled(index)
    assert watched.threshold(live) != first
    assert len(index.of("sample")) == 2


async def test_a_switched_alias_leads_to_another_calibration(index: FakeIndex, watched: Calibrations) -> None:
    fill(index, 40)
    await settled(index)
    index.add_collection(space="embedder_next")
    other = index.aliases["products"]
    index.rows[other.name].update({f"{n}": product_row(f"other-{n}") for n in range(40)})
    await settled(index)
    assert watched.threshold(other) is not None


async def test_a_collection_that_is_tried_is_calibrated_when_it_is_asked_for(
    index: FakeIndex, watched: Calibrations
) -> None:
    fill(index, 40)
    tried = Collection("tried", "embedder_next", 8)
    index.rows["tried"] = {f"{n}": product_row(f"tried-{n}") for n in range(40)}
    assert watched.threshold(tried) is None
    await settled(index)
    assert watched.threshold(tried) is not None


async def test_a_small_collection_has_none_which_is_said_once(
    index: FakeIndex, watched: Calibrations, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    live = fill(index, 3)
    for count in (3, 5):
        fill(index, count)
        await settled(index)
    assert watched.threshold(live) is None
    assert [record.message for record in caplog.records if "without a name" in record.message] == [
        f"no objects without a name are looked for in {live.name}: it has 3 products, and 12 are needed"
    ]
    assert metrics.registry.get_sample_value("framelens_unnamed_threshold", {"collection": live.name}) == 0


async def test_what_it_promises_is_said(
    index: FakeIndex, watched: Calibrations, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    live = fill(index, 40)
    await settled(index)
    assert "at most 2.0 % of pictures without product have a false match, by 3 boxes among 40 products" in caplog.text
    threshold = metrics.registry.get_sample_value("framelens_unnamed_threshold", {"collection": live.name})
    assert threshold == watched.threshold(live)


async def test_an_index_that_is_away_is_asked_again(index: FakeIndex, watched: Calibrations) -> None:
    live = fill(index, 40)
    index.fail("sample", Unavailable(Reason.MILVUS_UNAVAILABLE, "away"))
    await settled(index)
    assert watched.threshold(live) is None
    index.faults.clear()
    await settled(index)
    assert watched.threshold(live) is not None
