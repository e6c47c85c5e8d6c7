"""Which plans are let in, and what is said of those that are not."""

from typing import Any

import pytest

from framelens_triton.plan_record import PlanMismatch, check_plan

RTX = {"builder": "tensorrt_rtx", "builder_version": "1.7.1.116"}
AGAIN = "framelens-engines build detector --target tensorrt --precision fp16 --again"


def _record(**changes: Any) -> dict[str, Any]:
    record = {
        "model": "detector",
        "build": 11,
        "precision": "fp16",
        "target": "tensorrt",
        "builder": "tensorrt_rtx 1.7.1.116",
        "gpu_architecture": ["8.6", "12.0+"],
        "optimisation": {"version_compatible": False},
    }
    return record | changes


@pytest.mark.parametrize("capability", [(8, 6), (12, 0), (12, 1), (13, 0)])
def test_a_plan_for_this_builder_and_gpu_is_let_in(capability: tuple[int, int]) -> None:
    check_plan(_record(), **RTX, compute_capability=capability)


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 9), (9, 0)])
def test_another_gpu_is_refused_with_the_command_that_rebuilds(capability: tuple[int, int]) -> None:
    with pytest.raises(PlanMismatch) as refused:
        check_plan(_record(), **RTX, compute_capability=capability)
    here = ".".join(map(str, capability))
    assert str(refused.value) == (
        "the fp16 plan of detector, build 11, does not fit here: it is for GPUs of compute capability 8.6, 12.0+, and"
        f" this one is of {here}; build it again here: {AGAIN}"
    )


@pytest.mark.parametrize(("builder", "version"), [("tensorrt_rtx", "1.7.2.1"), ("tensorrt", "1.7.1.116")])
def test_another_builder_is_refused_with_the_command_that_rebuilds(builder: str, version: str) -> None:
    with pytest.raises(PlanMismatch) as refused:
        check_plan(_record(), builder=builder, builder_version=version, compute_capability=(8, 6))
    assert f"built by tensorrt_rtx 1.7.1.116, and {builder} {version} runs here" in str(refused.value)
    assert str(refused.value).endswith(AGAIN)


@pytest.mark.parametrize(
    ("builder", "version", "fits"),
    [
        ("tensorrt", "10.3.0", True),
        ("tensorrt", "10.16.2", True),
        ("tensorrt", "10.2.9", False),
        ("tensorrt", "11.0.0", False),
        ("tensorrt_rtx", "10.16.2", False),
    ],
)
def test_a_version_compatible_plan_takes_later_versions_of_its_major(builder: str, version: str, fits: bool) -> None:
    record = _record(builder="tensorrt 10.3.0", optimisation={"version_compatible": True})
    here = {"builder": builder, "builder_version": version, "compute_capability": (8, 6)}
    if fits:
        check_plan(record, **here)
        return
    with pytest.raises(PlanMismatch, match="built by tensorrt 10.3.0"):
        check_plan(record, **here)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"target": "onnxruntime"}, "it is an engine for onnxruntime and not for TensorRT"),
        ({"builder": "framelens-engines 0.1.0"}, "it was built by framelens-engines 0.1.0"),
        ({"gpu_architecture": None}, "GPUs that its engine.json does not name"),
        ({"gpu_architecture": ["ampere"]}, "GPUs of compute capability ampere"),
        ({"builder": "tensorrt_rtx", "optimisation": None}, "it was built by tensorrt_rtx, and"),
    ],
)
def test_a_record_that_says_too_little_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PlanMismatch, match=complaint):
        check_plan(_record(**changes), **RTX, compute_capability=(8, 6))
