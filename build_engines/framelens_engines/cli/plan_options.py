"""Options of `build` that are for TensorRT."""

import functools
import re
from typing import get_args

import click

from framelens_engines.cli.options import Command
from framelens_engines.engine import BatchProfile, Target
from framelens_engines.tensorrt.options import HardwareCompatibility, PlanOptions

_COMPUTE_CAPABILITY = re.compile(r"\d+\.\d")


def plan_options(command: Command) -> Command:
    """--target, and what a plan is built for; the command gets `target`, and `options` that are None without a plan."""

    def with_options(
        *,
        target: Target,
        batch: BatchProfile,
        compute_capability: tuple[str, ...],
        hardware_compatibility: HardwareCompatibility,
        version_compatible: bool,
        **others: object,
    ) -> None:
        options = PlanOptions(batch, compute_capability, hardware_compatibility, version_compatible)
        if target != "tensorrt" and options != PlanOptions(batch):
            raise click.UsageError("GPUs and compatibility are of plans; add --target tensorrt, or leave them out")
        command(target=target, options=options if target == "tensorrt" else None, **others)

    wrapped: Command = functools.wraps(command)(with_options)
    for option in (
        click.option(
            "--version-compatible",
            is_flag=True,
            help="A plan for later versions of TensorRT too; not TensorRT-RTX.",
        ),
        click.option(
            "--hardware-compatibility",
            type=click.Choice(get_args(HardwareCompatibility)),
            default="none",
            show_default=True,
            help="A plan for more than the GPU that it is built on; not TensorRT-RTX.",
        ),
        click.option(
            "--compute-capability",
            metavar="MAJOR.MINOR",
            multiple=True,
            callback=_compute_capabilities,
            help="GPUs that TensorRT-RTX builds for; may be repeated  [default: 8.6 and later]",
        ),
        click.option(
            "--batch",
            metavar="MIN,USUAL,MAX",
            default="1,8,32",
            show_default=True,
            callback=_batch_profile,
            help="Batch sizes that TensorRT optimises for.",
        ),
        click.option("--target", type=click.Choice(get_args(Target)), default="onnxruntime", show_default=True),
    ):
        wrapped = option(wrapped)
    return wrapped


def _batch_profile(_ctx: click.Context, _param: click.Parameter, value: str) -> BatchProfile:
    try:
        smallest, usual, largest = (int(part) for part in value.split(","))
    except ValueError:
        smallest, usual, largest = 0, 0, 0
    if not 1 <= smallest <= usual <= largest:
        raise click.BadParameter(f"{value!r} is not three growing batch sizes, such as 1,8,32")
    return BatchProfile(minimum=smallest, optimum=usual, maximum=largest)


def _compute_capabilities(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """In one order, each once: equal wishes make equal builds."""
    for value in values:
        if not _COMPUTE_CAPABILITY.fullmatch(value):
            raise click.BadParameter(f"{value!r} is not a compute capability, such as 8.9")
    return tuple(sorted(set(values), key=lambda value: tuple(map(int, value.split(".")))))
