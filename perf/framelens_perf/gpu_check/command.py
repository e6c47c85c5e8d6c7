"""`framelens-perf gpu-check`: what FrameLens comes to on the GPU of this machine."""

import sys
from pathlib import Path

import click

from framelens_perf.gpu_check.check import Settings
from framelens_perf.gpu_check.failures import GpuCheckFailure
from framelens_perf.gpu_check.run import end_to_end_on_cpu, gpu_check
from framelens_perf.gpu_check.summary import end_to_end_page, summary
from framelens_triton.cuda.errors import CudaError


@click.command("gpu-check")
@click.option("--gpu", "ordinal", type=click.IntRange(min=0), default=0, show_default=True, help="Its number.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("var/gpu"), show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), default="fp16", show_default=True)
@click.option("--seconds", type=click.FloatRange(min=1), default=5.0, show_default=True, help="Of each rate.")
@click.option("--model-repository", type=click.Path(path_type=Path), default=Path("model_repository"))
@click.option("--pictures", type=click.Path(path_type=Path), default=Path("var/samples"), show_default=True)
@click.option("--cpu", is_flag=True, help="Only the end-to-end part, on the CPU: to see that it works without a GPU.")
def gpu_check_command(
    ordinal: int, out: Path, precision: str, seconds: float, model_repository: Path, pictures: Path, *, cpu: bool
) -> None:
    """Measure engines, image operations and recognizer on a GPU beside their floors, and compare with the CPU.

    Writes report.json and summary.md. Exits with status 1 where a step failed or a target was missed.
    """
    settings = Settings(ordinal, pictures, model_repository, out, precision, seconds)
    try:
        if cpu:
            found, failures = end_to_end_on_cpu(settings, _say)
            click.echo(end_to_end_page(found))
            sys.exit(1 if failures else 0)
        report = gpu_check(settings, _say)
    except (GpuCheckFailure, CudaError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(summary(report))
    click.echo(f"the report is {out / 'report.json'}")
    sys.exit(0 if report.passed else 1)


def _say(message: str) -> None:
    click.echo(message, err=True)
