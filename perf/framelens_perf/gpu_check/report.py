"""What a check came to, as report.json has it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from framelens_perf.gpu_check.end_to_end import EndToEnd
from framelens_perf.gpu_check.engines import Choice
from framelens_perf.gpu_check.equality import Difference
from framelens_perf.gpu_check.floors import Peaks
from framelens_perf.gpu_check.hardware import Hardware
from framelens_perf.gpu_check.pipeline import PipelineRate
from framelens_perf.gpu_check.stages import Measured
from framelens_perf.gpu_check.steps import Failure
from framelens_perf.gpu_check.targets import Target
from framelens_perf.machine import machine

NOT_MEASURED = (
    "NVIDIA's Triton with its native backends, and the gateway with a GPU index: run the containers"
    " (docs/containers.md), and `.venv/server/bin/framelens-perf analyze --triton HOST:PORT` beside them",
)


@dataclass(frozen=True)
class Whole:
    """`recognizer` on a batch of frames: its stages by themselves, and all of them one after the other."""

    batch: int
    objects: int
    stages: dict[str, Measured]
    # One instance, as its caller sees it.
    rate: PipelineRate

    @property
    def device_ms(self) -> float:
        return sum(stage.device_ms for stage in self.stages.values())

    @property
    def floor_ms(self) -> float:
        return sum(stage.floor_ms for stage in self.stages.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "batch": self.batch,
            "objects": self.objects,
            "device_ms": self.device_ms,
            "floor_ms": self.floor_ms,
            "share_of_floor": self.floor_ms / self.device_ms,
            "frames_per_s": self.rate.frames_per_s,
            "p99_batch_ms": self.rate.p99_batch_ms,
            "stages": [stage.to_json() for stage in self.stages.values()],
        }


@dataclass
class Report:
    """Filled step by step; what stays empty has its reason in `failures`."""

    began: str
    hardware: Hardware
    copied_bytes_per_s: float | None = None
    peaks: Peaks | None = None
    engines: dict[str, Choice] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    stages: list[Measured] = field(default_factory=list)
    wholes: list[Whole] = field(default_factory=list)
    pipeline: PipelineRate | None = None
    utilisation_percent: float | None = None
    end_to_end: EndToEnd = field(default_factory=EndToEnd)
    targets: list[Target] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def whole(self, batch: int) -> Whole | None:
        return next((whole for whole in self.wholes if whole.batch == batch), None)

    @property
    def passed(self) -> bool:
        """All ran, all that has a tolerance keeps it, and all targets are kept."""
        held = all(difference.held is not False for difference in self.differences)
        return held and bool(self.targets) and all(target.kept for target in self.targets) and not self.failures

    def to_json(self) -> dict[str, Any]:
        return {
            "began": self.began,
            "passed": self.passed,
            "machine": machine(),
            "gpu": self.hardware.to_json() | {"copied_bytes_per_s": self.copied_bytes_per_s},
            "peaks": self.peaks and asdict(self.peaks),
            "engines": {model: choice.to_json() for model, choice in self.engines.items()},
            "equality": [difference.to_json() for difference in self.differences],
            "stages": [stage.to_json() for stage in self.stages],
            "recognizer": [whole.to_json() for whole in self.wholes],
            "pipeline": self.pipeline and self.pipeline.to_json(),
            "utilisation_percent": self.utilisation_percent,
            "end_to_end": self.end_to_end.to_json(),
            "targets": [target.to_json() for target in self.targets],
            "failures": [failure.to_json() for failure in self.failures],
            "not_measured": list(NOT_MEASURED),
        }
