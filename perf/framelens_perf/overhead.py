"""What serving costs: recognizer over its stages in one process, and the gateway over recognizer.

The sides alternate, call by call, on the same frame, and medians are compared, because this machine's speed drifts.
What the gateway adds is a hundredth of what the stages take, so each call's own stages are taken out of it first.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

from framelens_client import Client
from framelens_perf.stack import Addresses
from framelens_perf.workload.traffic import marked
from framelens_triton.recognition import STAGES

_WARM_UP = 5
# The outputs that the gateway asks for.
_OUTPUTS = ("count", "boxes", "labels", "scores", "embeddings", "picture_size", "engines", "stages_ms", "error")


@dataclass(frozen=True)
class Overhead:
    """Medians in milliseconds over the same calls."""

    stages_in_process_ms: float
    recognizer_ms: float
    gateway_added_ms: float
    search_ms: float
    # Of the calls through the gateway, by stage.
    stages_ms: dict[str, float]

    @property
    def recognizer_over_stages(self) -> float:
        return self.recognizer_ms / self.stages_in_process_ms


def measure_overhead(
    frames: Sequence[bytes], in_process_ms: Callable[[bytes], float], addresses: Addresses, embedder: str
) -> Overhead:
    """Asks each encoded frame once on each side; `in_process_ms` says what its stages take in one process."""
    triton = InferenceServerClient(addresses.triton_grpc)
    outputs = [InferRequestedOutput(name) for name in _OUTPUTS]
    stages, direct, added, told = [], [], [], []
    with Client(addresses.grpc) as client:
        for turn, unmarked in enumerate([*frames[:_WARM_UP], *frames]):
            # Each in bytes of its own: what was asked before would be answered from what was kept.
            frame = marked(unmarked, turn)
            picture = InferInput("picture", [1, 1], "BYTES")
            picture.set_data_from_numpy(np.array([[frame]], np.object_))
            local_ms = in_process_ms(frame)
            started = time.perf_counter()
            result = triton.infer("recognizer", [picture], outputs=outputs, parameters={"embedder": embedder})
            direct_ms = (time.perf_counter() - started) * 1e3
            started = time.perf_counter()
            answer = client.recognize(frame)
            through_ms = (time.perf_counter() - started) * 1e3
            times = answer.served.stages_ms
            beyond_ms = through_ms - times["search"] - sum(times[stage] for stage in STAGES)
            if turn >= _WARM_UP:
                stages.append(local_ms)
                direct.append(direct_ms)
                added.append(beyond_ms - (direct_ms - float(result.as_numpy("stages_ms").sum())))
                told.append(times)
    triton.close()
    stages_ms = {name: statistics.median(times[name] for times in told) for name in (*STAGES, "queue", "search")}
    return Overhead(
        stages_in_process_ms=statistics.median(stages),
        recognizer_ms=statistics.median(direct),
        gateway_added_ms=statistics.median(added),
        search_ms=stages_ms["search"],
        stages_ms=stages_ms,
    )
