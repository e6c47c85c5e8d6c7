"""CUDA graphs: work that is recorded once and started again with one call."""

import weakref
from collections.abc import Callable
from typing import Any

from framelens_triton.cuda.bindings import driver
from framelens_triton.cuda.errors import checked
from framelens_triton.cuda.stream import Stream


class Graph:
    """What `work` asked of a stream, over the same memory every time. Raises CudaError."""

    def __init__(self, stream: Stream, work: Callable[[], None]) -> None:
        cuda = driver()
        recorded = _recorded(stream, work)
        try:
            self._native: Any = checked(cuda.cuGraphInstantiate(recorded, 0), "instantiating a CUDA graph")
        finally:
            checked(cuda.cuGraphDestroy(recorded), "freeing a recorded CUDA graph")
        weakref.finalize(self, cuda.cuGraphExecDestroy, self._native).atexit = False

    def launch(self, stream: Stream) -> None:
        checked(driver().cuGraphLaunch(self._native, stream.native), "launching a CUDA graph")


def _recorded(stream: Stream, work: Callable[[], None]) -> Any:  # noqa: ANN401
    """The capture is ended whatever `work` raises, or the stream could not be used again."""
    cuda = driver()
    # Other threads of the process, such as Triton's, may go on taking memory meanwhile.
    mode = cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
    checked(cuda.cuStreamBeginCapture(stream.native, mode), "beginning to record a CUDA graph")
    try:
        work()
    except BaseException:
        _, unfinished = cuda.cuStreamEndCapture(stream.native)
        if unfinished is not None and int(unfinished):
            cuda.cuGraphDestroy(unfinished)
        raise
    return checked(cuda.cuStreamEndCapture(stream.native), "recording a CUDA graph")
