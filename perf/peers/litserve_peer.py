"""LitServe as its documentation batches: `decode_request` takes the file, `predict` gets a list."""

from collections.abc import Sequence
from typing import Any

import litserve as ls
from fastapi import Request
from starlette.datastructures import FormData
from visual_search import PeerSettings, VisualSearch


class LitServeSettings(PeerSettings):
    # 1 is no batching. On a CPU a batch takes as long as its pictures one by one, and the first waits for the last.
    max_batch_size: int = 1
    # How long a worker waits for its batch to fill.
    batch_timeout_s: float = 0.005
    # Processes that speak HTTP.
    api_servers: int = 1
    # ZeroMQ between those and the workers, in place of a manager process.
    fast_queue: bool = False


class VisualSearchAPI(ls.LitAPI):
    """One copy in each worker."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - CPU only
        self._search = VisualSearch(settings)

    def decode_request(self, request: Request) -> bytes:
        form: FormData = request
        return form["picture"].file.read()

    def predict(self, x: Sequence[bytes] | bytes) -> list[dict[str, Any]] | dict[str, Any]:
        """A batch, or a single picture where batches are off."""
        return self._search.answers([x])[0] if isinstance(x, bytes) else self._search.answers(x)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


settings = LitServeSettings()

if __name__ == "__main__":
    api = VisualSearchAPI(
        max_batch_size=settings.max_batch_size, batch_timeout=settings.batch_timeout_s, api_path="/recognize"
    )
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=settings.workers, fast_queue=settings.fast_queue)
    server.run(
        host=settings.host,
        port=settings.port,
        num_api_servers=settings.api_servers,
        generate_client_file=False,
        access_log=False,
    )
