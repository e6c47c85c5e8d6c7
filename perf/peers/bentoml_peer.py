"""BentoML as its documentation batches: a batchable API takes a list, and callers send lists of one.

`bentoml serve bentoml_peer:VisualSearchService`
"""

from pathlib import Path
from typing import Any

import bentoml
from visual_search import PeerSettings, VisualSearch


class BentoMLSettings(PeerSettings):
    # The least that BentoML batches with; more made callers wait longer and answered no more of them.
    max_batch_size: int = 2
    # A request that would wait longer is refused with 503.
    max_latency_ms: int = 10_000
    # Batches that one worker handles at once.
    threads: int = 1


settings = BentoMLSettings()


@bentoml.service(workers=settings.workers, threads=settings.threads, logging={"access": {"enabled": False}})
class VisualSearchService:
    """One copy in each worker."""

    def __init__(self) -> None:
        self._search = VisualSearch(settings)

    @bentoml.api(
        route="/recognize",
        batchable=True,
        max_batch_size=settings.max_batch_size,
        max_latency_ms=settings.max_latency_ms,
    )
    def recognize(self, picture: list[Path]) -> list[dict[str, Any]]:
        return self._search.answers([path.read_bytes() for path in picture])
