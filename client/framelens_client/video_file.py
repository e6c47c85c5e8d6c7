"""The bytes of a video that is sent to be indexed."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

CHUNK_BYTES = 2**18

VideoSource = Path | bytes | IO[bytes]


class VideoFile:
    """Of a path, of bytes, or of a file that is open for reading and can be read twice: from where it stands."""

    def __init__(self, source: VideoSource) -> None:
        self._source = BytesIO(source) if isinstance(source, bytes) else source
        self._start = 0 if isinstance(self._source, Path) else self._source.tell()

    def sha256(self) -> str:
        """In hexadecimal, by which the gateway knows what it has stored already."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        with self._opened() as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        if isinstance(self._source, Path):
            with self._source.open("rb") as file:
                yield file
        else:
            self._source.seek(self._start)
            yield self._source


def video_file(source: VideoSource | None, server_path: str | None) -> VideoFile | None:
    """None where the file is on the server. Raises ValueError unless exactly one is given."""
    if (source is None) == (server_path is None):
        raise ValueError("a video has one source: give either source or server_path")
    return None if source is None else VideoFile(source)
