"""FastAPI as its documentation serves what blocks: a plain `def`, which runs in the thread pool, under uvicorn workers.

It has no batching.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio.to_thread
import uvicorn
from fastapi import FastAPI, File, Request
from visual_search import CORES, PeerSettings, VisualSearch


class FastApiSettings(PeerSettings):
    # One queue for all cores: with a process on each, a connection waits for its own, though another be idle.
    workers: int = 1
    # Requests that one worker handles at once.
    pool_threads: int = CORES


settings = FastApiSettings()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Loads the engines once for each worker, and bounds its thread pool (40 threads where nobody does)."""
    app.state.search = VisualSearch(settings)
    anyio.to_thread.current_default_thread_limiter().total_tokens = settings.pool_threads
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/recognize")
def recognize(request: Request, picture: Annotated[bytes, File()]) -> dict[str, Any]:
    search: VisualSearch = request.app.state.search
    return search.answers([picture])[0]


@app.get("/health")
async def health() -> str:
    return "ok"


if __name__ == "__main__":
    uvicorn.run(
        "fastapi_peer:app",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        access_log=False,
    )
