"""What a GPU is expected to come to: a pipeline bound by decoding, and little lost between the stages."""

from dataclasses import asdict, dataclass
from typing import Any

from framelens_perf.gpu_check.pipeline import PipelineRate
from framelens_perf.gpu_check.stages import CROP, DETECT, EMBED, RESIZE, Measured

BATCH = 8
# Of the device's time: all but decoding.
_MOST_SHARE = 1 / 3
_LEAST_KEPT = 0.7


@dataclass(frozen=True)
class Target:
    """A value and its bound; `kept` is None where the value could not be measured."""

    name: str
    bound: float
    value: float | None
    kept: bool | None
    # What the value is made of, or why there is none.
    because: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def decode_bound(stages: dict[str, Measured] | None) -> Target:
    """Of the stages of a batch of eight frames, with as many crops as those frames have objects.

    Crops are resized regions, and count as resizing.
    """
    name = f"decode-bound: detect + embed + resize and crop, share of device time at batch {BATCH}, less than"
    if stages is None:
        return Target(name, _MOST_SHARE, None, None, "not every stage was measured")
    whole = sum(stage.device_ms for stage in stages.values())
    share = sum(stages[each].device_ms for each in (RESIZE, DETECT, CROP, EMBED)) / whole
    because = ", ".join(f"{each} {stage.device_ms:.3f} ms" for each, stage in stages.items())
    return Target(name, _MOST_SHARE, share, share < _MOST_SHARE, because)


def throughput_kept(stages: dict[str, Measured] | None, pipeline: PipelineRate | None) -> Target:
    """The pipeline's frames a second beside those of its slowest stage alone, in one process, at the same batch."""
    name = f"throughput: pipeline beside its slowest stage alone, at batch {BATCH}, at least"
    if stages is None or pipeline is None:
        missing = "not every stage was measured" if stages is None else "the pipeline was not measured"
        return Target(name, _LEAST_KEPT, None, None, missing)
    slowest, took = max(stages.items(), key=lambda item: item[1].wall_ms)
    alone = BATCH / took.wall_ms * 1e3
    share = pipeline.frames_per_s / alone
    because = (
        f"{pipeline.frames_per_s:.0f} frames/s of {pipeline.instances} instances, {slowest} alone {alone:.0f} frames/s"
    )
    return Target(name, _LEAST_KEPT, share, share >= _LEAST_KEPT, because)
