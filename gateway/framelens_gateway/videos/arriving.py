"""The file of a video: one that arrives in chunks, or one that lies on the server."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from framelens_client.reasons import Reason
from framelens_gateway.errors import InvalidRequest, NotArrived

_READ_BYTES = 2**20


@dataclass(frozen=True)
class VideoFile:
    """A file on disk; `sha256` in hexadecimal."""

    path: Path
    sha256: str


class Arriving:
    """Keeps what arrives in a folder of its own, for as long as it is worked on."""

    def __init__(self, directory: Path, max_bytes: int, video_dirs: Sequence[Path], read_timeout_s: float) -> None:
        """`read_timeout_s` is for each chunk."""
        self._directory, self._max_bytes, self._read_timeout_s = directory, max_bytes, read_timeout_s
        self._video_dirs = [folder.resolve() for folder in video_dirs]

    @asynccontextmanager
    async def in_chunks(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[VideoFile]:
        """Raises InvalidRequest where there are too many bytes, or none, NotArrived."""
        await asyncio.to_thread(self._directory.mkdir, parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._directory) as file:
            digest, size = hashlib.sha256(), 0
            while (chunk := await self._next(chunks)) is not None:
                size += len(chunk)
                self._check_size(size)
                await asyncio.to_thread(_append, file, digest, chunk)
            if not size:
                raise InvalidRequest("the video is empty (0 bytes); send its file", Reason.INVALID_VIDEO)
            yield VideoFile(Path(file.name), digest.hexdigest())

    async def on_server(self, path: str) -> VideoFile:
        """Raises InvalidRequest where it is not a file that the server may read."""
        file = await asyncio.to_thread(self._allowed, path)
        return VideoFile(file, await asyncio.to_thread(_digest, file))

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        """Raises NotArrived: a caller that stalls would keep others out."""
        try:
            async with asyncio.timeout(self._read_timeout_s):
                return await anext(chunks, None)
        except TimeoutError as error:
            raise NotArrived(self._read_timeout_s) from error

    def _allowed(self, path: str) -> Path:
        file = Path(path).resolve()
        if not any(file.is_relative_to(folder) for folder in self._video_dirs):
            raise InvalidRequest(
                f"path {path} is not in one of the server's video_dirs; send the file itself", Reason.INVALID_VIDEO
            )
        if not file.is_file():
            raise InvalidRequest(f"there is no file {path} on the server", Reason.INVALID_VIDEO)
        self._check_size(file.stat().st_size)
        return file

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise InvalidRequest(
                f"the video has more bytes than the limit of {self._max_bytes}", Reason.VIDEO_TOO_LARGE
            )


def _append(file: IO[bytes], digest: "hashlib._Hash", chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)
    file.flush()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
