"""Keeps what collections are calibrated to, in memory, and never in the way of a request."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass

from framelens_gateway.errors import Unavailable
from framelens_gateway.index import Collection, Index
from framelens_gateway.routing import Route
from framelens_gateway.unnamed.calibration import LEAST_PRODUCTS, Calibration, calibration_of
from framelens_gateway.unnamed.metrics import UnnamedMetrics

log = logging.getLogger(__name__)

_SAMPLED = 256
_EVERY_S = 10.0
# A collection is calibrated anew when it has grown, or shrunk, by this factor.
_GROWN = 1.25
# One that nobody has asked for during this time is forgotten, unless it is the live one.
_FORGOTTEN_S = 600.0


@dataclass(frozen=True)
class _Known:
    products: int
    # Of a collection that is too small: none.
    calibration: Calibration | None


class Calibrations:
    """The threshold of every collection that is searched: of the live one, and of those that are tried."""

    def __init__(self, index: Index, boxes: int, false_alarms: float, metrics: UnnamedMetrics) -> None:
        """`boxes` of each picture are looked at, and `false_alarms` is the share that may have a false match."""
        self._index, self._boxes, self._false_alarms = index, boxes, false_alarms
        self._metrics = metrics
        self._known: dict[str, _Known] = {}
        # When each collection was asked for last, of `time.monotonic`.
        self._asked: dict[str, float] = {}
        self._wake = asyncio.Event()

    def threshold(self, collection: Collection) -> float | None:
        """What a product has to score; None where there are too few, or where it is not known yet."""
        self._asked[collection.name] = time.monotonic()
        known = self._known.get(collection.name)
        if known is None:
            self._wake.set()
        return self._threshold(known)

    async def watch(self) -> None:
        """Runs until cancelled."""
        while True:
            self._wake.clear()
            await self._look()
            # Not at once again, lest a collection that fails is asked without a pause.
            await asyncio.sleep(_EVERY_S / 10)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _EVERY_S)

    async def _look(self) -> None:
        try:
            live = await self._index.resolve(Route.PRODUCTS)
        except Unavailable as error:
            log.debug("objects without a name: %s", error)
            return
        names = self._searched(live)
        for gone in self._known.keys() - names:
            del self._known[gone]
            self._metrics.forget(gone)
        for name in names:
            try:
                await self._follow(name)
            except Unavailable as error:  # Of this collection, which may be gone; the others are not touched.
                log.debug("objects without a name in %s: %s", name, error)

    def _searched(self, live: Collection | None) -> set[str]:
        now = time.monotonic()
        self._asked = {name: at for name, at in self._asked.items() if now - at < _FORGOTTEN_S}
        return {*self._asked, *([live.name] if live else [])}

    async def _follow(self, name: str) -> None:
        """Raises Unavailable."""
        products, known = await self._index.products(name), self._known.get(name)
        if known is not None and known.products / _GROWN <= products <= known.products * _GROWN:
            return
        vectors = await self._index.sample(name, _SAMPLED)
        calibration = await asyncio.to_thread(calibration_of, vectors, products)
        found = self._known[name] = _Known(products, calibration)
        if known is None or known.calibration is not None or calibration is not None:
            self._say(name, found)

    def _say(self, name: str, found: _Known) -> None:
        threshold = self._threshold(found)
        self._metrics.calibrated(name, threshold)
        if threshold is None:
            log.info(
                "no objects without a name are looked for in %s: it has %d products, and %d are needed",
                name,
                found.products,
                LEAST_PRODUCTS,
            )
        else:
            log.info(
                "an object without a name is kept from a score of %.3f in %s: at most %.1f %% of pictures without "
                "product have a false match, by %d boxes among %d products",
                threshold,
                name,
                self._false_alarms * 100,
                self._boxes,
                found.products,
            )

    def _threshold(self, known: _Known | None) -> float | None:
        if known is None or known.calibration is None:
            return None
        return known.calibration.threshold(self._boxes, self._false_alarms)
