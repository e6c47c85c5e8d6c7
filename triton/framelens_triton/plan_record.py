"""Whether a TensorRT plan fits where it is to run, by its engine.json: TensorRT itself says of a misfit only codes.

A plan fits the version of the builder that wrote it, and with `version_compatible` later ones of the same major version
(docs.nvidia.com, TensorRT, "Engine Compatibility"); and the GPUs that its record names: `8.9` is that compute
capability, `8.6+` that one and all later.
"""

import re
from typing import Any

_GPU = re.compile(r"(\d+)\.(\d+)(\+?)")


class PlanMismatch(Exception):
    """A plan is for another builder, version or GPU; the message says which, and the command that rebuilds it."""


def check_plan(
    record: dict[str, Any], *, builder: str, builder_version: str, compute_capability: tuple[int, int]
) -> None:
    """Raises PlanMismatch unless the plan of this engine.json fits.

    `builder` is `tensorrt` or `tensorrt_rtx`, the name of its Python package; the capability such as (8, 9).
    """
    if record.get("target") != "tensorrt":
        raise _mismatch(record, f"it is an engine for {record.get('target')} and not for TensorRT")
    runtime = f"{builder} {builder_version}"
    built_by = str(record.get("builder"))
    if built_by != runtime and not (_version_compatible(record) and _later_minor(built_by, runtime)):
        raise _mismatch(record, f"it was built by {built_by}, and {runtime} runs here")
    gpus = record.get("gpu_architecture") or []
    if not any(_covers(gpu, compute_capability) for gpu in gpus):
        here = ".".join(map(str, compute_capability))
        named = f"GPUs of compute capability {', '.join(gpus)}" if gpus else "GPUs that its engine.json does not name"
        raise _mismatch(record, f"it is for {named}, and this one is of {here}")


def _mismatch(record: dict[str, Any], reason: str) -> PlanMismatch:
    model, precision = record.get("model"), record.get("precision")
    return PlanMismatch(
        f"the {precision} plan of {model}, build {record.get('build')}, does not fit here: {reason}; build it again"
        f" here: framelens-engines build {model} --target tensorrt --precision {precision} --again"
    )


def _version_compatible(record: dict[str, Any]) -> bool:
    return (record.get("optimisation") or {}).get("version_compatible") is True


def _later_minor(built_by: str, runtime: str) -> bool:
    """Both such as `tensorrt 10.3.0`."""
    (name, built), (name_here, here) = _split(built_by), _split(runtime)
    return name == name_here and built[:1] == here[:1] and built <= here


def _split(builder: str) -> tuple[str, list[int]]:
    name, _, version = builder.partition(" ")
    return name, [int(part) for part in version.split(".") if part.isdecimal()]


def _covers(gpu: str, compute_capability: tuple[int, int]) -> bool:
    found = _GPU.fullmatch(gpu)
    if found is None:
        return False
    least = (int(found[1]), int(found[2]))
    return compute_capability >= least if found[3] else compute_capability == least
