"""Gives what was found in a frame again, and lets identical requests that are in flight share one recognition."""

import asyncio
import hashlib
import math
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

from cachetools import TTLCache

from framelens_gateway.deadline import Deadline
from framelens_gateway.errors import DeadlineExceeded, Unavailable
from framelens_gateway.metrics import CacheMetrics
from framelens_gateway.recognizer import STAGES, Recognition, RecognizerCall, Recognizes

# Larger pictures are hashed on a thread: that takes longer than others should wait for.
_SMALL_BYTES = 2**18
# Of an object and of a recognition, beside embeddings.
_OBJECT_BYTES, _RECOGNITION_BYTES = 600, 1000


@dataclass
class _Running:
    """A recognition that several callers may wait for; it ends early when none does any longer."""

    task: "asyncio.Task[Recognition]"
    waiting: int = 0


class CachedRecognizer:
    """Remembers what was found, by a picture's content, the models, and what was asked of them.

    A new engine version shows in the first answer that it gives; from then on nothing older is given again. So that it
    shows within `engines_ttl_s`, whoever comes when an engine has not been heard of for so long is answered by it.
    """

    def __init__(
        self, recognizer: Recognizes, max_bytes: int, ttl_s: float, engines_ttl_s: float, metrics: CacheMetrics
    ) -> None:
        self._recognizer = recognizer
        self._engines_ttl_s = engines_ttl_s
        self._metrics = metrics
        self._known: TTLCache[Hashable, Recognition] = TTLCache(max_bytes, ttl_s, getsizeof=_size)
        self._running: dict[Hashable, _Running] = {}
        self._versions: dict[str, str] = {}
        # When each engine was last asked, of `time.monotonic`.
        self._asked_at: dict[str, float] = {}

    async def recognize(self, call: RecognizerCall, deadline: Deadline) -> Recognition:
        """Raises what the recognizer raises. A recognition that is given again took no time in any stage."""
        if call.crops:  # Of the catalogue, which asks for each picture once.
            return await self._recognizer.recognize(call, deadline)
        key = await _key(call)
        known = self._known.get(key)
        if known is not None and self._heard_of(known.engines):
            self._metrics.count("recognition", "hit")
            return replace(known, stages_ms=dict.fromkeys(STAGES, 0.0))
        return await self._shared(key, call, deadline)

    async def _shared(self, key: Hashable, call: RecognizerCall, deadline: Deadline) -> Recognition:
        while True:
            try:
                return await self._joined(key, call, deadline)
            except DeadlineExceeded:
                # Perhaps of the one who asked first; whoever has time left asks again.
                deadline.remaining("the wait for recognizer")

    async def _joined(self, key: Hashable, call: RecognizerCall, deadline: Deadline) -> Recognition:
        running = self._running.get(key)
        self._metrics.count("recognition", "joined" if running else "miss")
        if running is None:
            running = self._running[key] = _Running(asyncio.create_task(self._ask(key, call, deadline)))
        running.waiting += 1
        try:
            return await asyncio.shield(running.task)
        finally:
            running.waiting -= 1
            if not running.waiting:
                running.task.cancel()
                # Whoever comes now must not join what was just ended.
                if self._running.get(key) is running:
                    del self._running[key]

    def _heard_of(self, engines: Iterable[str]) -> bool:
        """Whether all of them were asked a moment ago. If not, whoever asked this asks them, and nobody else need."""
        now = time.monotonic()
        old = [model for model in engines if now - self._asked_at.get(model, -math.inf) > self._engines_ttl_s]
        self._asked_at.update(dict.fromkeys(old, now))
        return not old

    async def _ask(self, key: Hashable, call: RecognizerCall, deadline: Deadline) -> Recognition:
        started = time.monotonic()
        try:
            found = await self._recognizer.recognize(call, deadline)
        except Unavailable:
            # Nobody is told that all is well by what is kept.
            self._asked_at.clear()
            raise
        self._asked_at.update(dict.fromkeys(found.engines, started))
        self._forget_older_engines(found)
        if _size(found) <= self._known.maxsize:
            self._known[key] = found
        return found

    def _forget_older_engines(self, found: Recognition) -> None:
        changed = any(self._versions.get(model, version) != version for model, version in found.engines.items())
        self._versions.update(found.engines)
        if changed:
            self._known.clear()


async def _key(call: RecognizerCall) -> Hashable:
    small = len(call.picture) <= _SMALL_BYTES
    digest = _digest(call.picture) if small else await asyncio.to_thread(_digest, call.picture)
    models = call.recognizer, call.detector, call.embedder
    return digest, *models, call.regions, call.min_score, call.max_objects, call.unnamed


def _digest(picture: bytes) -> bytes:
    return hashlib.sha256(picture).digest()


def _size(recognition: Recognition) -> int:
    return _RECOGNITION_BYTES + sum(_OBJECT_BYTES + found.embedding.nbytes for found in recognition.objects)
