"""A stream: work that a GPU does in order, beside what other streams do."""

import weakref
from typing import Any

from framelens_triton.cuda.bindings import driver
from framelens_triton.cuda.errors import checked


class Stream:
    """Raises CudaError, here and in all that is done with it."""

    def __init__(self) -> None:
        cuda = driver()
        flags = cuda.CUstream_flags.CU_STREAM_NON_BLOCKING
        self.native: Any = checked(cuda.cuStreamCreate(flags), "creating a stream")
        weakref.finalize(self, cuda.cuStreamDestroy, self.native).atexit = False

    @property
    def handle(self) -> int:
        """As other libraries take it."""
        return int(self.native)

    def synchronize(self) -> None:
        """Returns once all that was asked of the stream is done."""
        checked(driver().cuStreamSynchronize(self.native), "waiting for the GPU")

    def follow(self, handle: int) -> None:
        """Returns once the stream of another library, by its handle, has done what it was asked."""
        cuda = driver()
        checked(cuda.cuStreamSynchronize(cuda.CUstream(handle)), f"waiting for stream {handle}")
