"""Whether a peer does the job: its answers are those of the same stages in one process."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framelens_perf.in_process import in_process_recognizer
from framelens_perf.peers.failures import AskFailed, PeerFailure
from framelens_perf.peers.http_caller import HttpCaller
from framelens_triton.recognition import Request

# Engines sum in another order with other threads and batches.
_TOLERANCE = 1e-3

Objects = list[dict[str, Any]]


def expected_objects(repository: Path, detector: str, embedder: str, frames: Sequence[bytes]) -> list[Objects]:
    """What each frame must be answered with. Raises PeerFailure where one cannot be looked at."""
    recognizer = in_process_recognizer(repository, (detector, embedder))
    results, _ = recognizer.recognize([Request(frame, detector, embedder) for frame in frames])
    recognizer.close()
    for result in results:
        if result.error is not None:
            raise PeerFailure(f"a frame of the measurement cannot be recognised: {result.error}")
    return [
        [{"label": found.label, "score": found.score, "box": list(found.box)} for found in result.objects]
        for result in results
    ]


async def check_answers(caller: HttpCaller, frames: Sequence[bytes], expected: Sequence[Objects]) -> None:
    """Raises PeerFailure at the first frame that is answered otherwise."""
    for frame, objects in zip(frames, expected, strict=True):
        try:
            answered = await caller.objects(frame)
        except AskFailed as error:
            raise PeerFailure(f"the peer did not answer its first pictures: {error}") from error
        if not same_objects(answered, objects):
            raise PeerFailure(f"the peer answers {answered}, and the same stages in one process {objects}")


def same_objects(one: Objects, other: Objects) -> bool:
    """The same labels in the same order, scores and boxes but for rounding."""
    if [each["label"] for each in one] != [each["label"] for each in other]:
        return False
    return all(
        math.isclose(number, against, abs_tol=_TOLERANCE)
        for each, also in zip(one, other, strict=True)
        for number, against in zip([each["score"], *each["box"]], [also["score"], *also["box"]], strict=True)
    )
