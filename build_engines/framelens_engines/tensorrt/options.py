"""What a plan is built for."""

from dataclasses import dataclass
from typing import Literal

from framelens_engines.engine import BatchProfile

HardwareCompatibility = Literal["none", "same_compute_capability", "ampere_plus"]


@dataclass(frozen=True)
class PlanOptions:
    """Batch sizes, and GPUs and versions beyond those that a plan fits by itself; a flavour refuses what it has not.

    `compute_capabilities` are such as 8.9; none of them means all that TensorRT-RTX builds for by itself.
    """

    batch: BatchProfile
    compute_capabilities: tuple[str, ...] = ()
    hardware_compatibility: HardwareCompatibility = "none"
    version_compatible: bool = False
