"""Asks a peer over HTTP as its callers would: a JPEG as a file of a form, JSON back."""

import json
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp

from framelens_perf.peers.failures import AskFailed

_FIELD = "picture"
_DEADLINE_S = 10.0


class HttpCaller:
    """For use in one event loop; connections are kept open."""

    def __init__(self, url: str) -> None:
        self._url = url
        # As many connections as requests are under way: a caller that waits for one would hide the peer's queue.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(_DEADLINE_S)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, picture: bytes) -> None:
        """Reads the whole answer and leaves it unparsed. Raises AskFailed."""
        await self._post(picture)

    async def objects(self, picture: bytes) -> list[dict[str, Any]]:
        """Label, score and box of each object. Raises AskFailed."""
        answer = json.loads(await self._post(picture))
        # A batchable API of BentoML is asked with a list of one and answers one.
        only: dict[str, Any] = answer[0] if isinstance(answer, list) else answer
        return list(only["objects"])

    async def _post(self, picture: bytes) -> bytes:
        form = aiohttp.FormData()
        form.add_field(_FIELD, picture, filename="frame.jpg", content_type="image/jpeg")
        try:
            async with self._session.post(self._url, data=form) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AskFailed(f"{self._url} did not answer: {error!r}") from error
        if response.status != HTTPStatus.OK:
            raise AskFailed(f"{self._url} answered {response.status}: {content[:200]!r}")
        return content
