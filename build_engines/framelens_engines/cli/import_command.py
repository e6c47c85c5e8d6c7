"""`framelens-engines import`: a model of the user's own."""

import math
import re
from pathlib import Path
from typing import Any, get_args

import click

from framelens_engines.build import Plan, build_engine
from framelens_engines.candidates import BOX_ORDERS
from framelens_engines.cli.options import Command, store_options
from framelens_engines.contract import Normalisation
from framelens_engines.model_config import EMBEDDER_PREFIX
from framelens_engines.progress import Reporter
from framelens_engines.store import EngineStore
from framelens_engines.user_model import PictureInput
from framelens_engines.user_onnx import Activation, DetectorFormat, DetectorOutput, detector_plan, embedder_plan
from framelens_triton.images.resize import Fit

Channels = tuple[float, float, float]

_NAME = re.compile(r"[a-z](_?[a-z0-9])*")


def _size(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", value)
    height, width = (int(part) for part in match.groups()) if match else (0, 0)
    if min(height, width) < 1:
        raise click.BadParameter(f"{value!r} is not HEIGHTxWIDTH in pixels, such as 640x640")
    return height, width


def _channels(_ctx: click.Context, _param: click.Parameter, value: str) -> Channels:
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(math.isfinite(number) for number in numbers):
        raise click.BadParameter(f"{value!r} is not one number or three, such as 123.7,116.3,103.5")
    first, second, third = numbers * (3 // len(numbers))
    return first, second, third


def _model_name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not _NAME.fullmatch(value):
        raise click.BadParameter(
            f"{value!r}: expected lower-case letters, digits and single underscores, a letter first"
        )
    return value


def _std(ctx: click.Context, param: click.Parameter, value: str) -> Channels:
    channels = _channels(ctx, param, value)
    if min(channels) < 1:
        raise click.BadParameter(f"{value} divides pixels of 0..255; expected 1 or more (0.229 of 0..1 is 58.395 here)")
    return channels


def _choice(values: object) -> click.Choice[str]:
    return click.Choice([str(value) for value in get_args(values)])


def _input_options(command: Command) -> Command:
    for option in reversed(
        (
            click.option(
                "--onnx", "onnx_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True
            ),
            click.option("--name", callback=_model_name, required=True, help="Name of the model in the repository."),
            click.option("--input-size", callback=_size, metavar="HxW", required=True),
            click.option(
                "--mean",
                callback=_channels,
                metavar="C[,C,C]",
                default="0",
                show_default=True,
                help="Of 0..255, in --color order.",
            ),
            click.option(
                "--std", metavar="C[,C,C]", default="255", show_default=True, callback=_std, help="Of 0..255, likewise."
            ),
            click.option("--layout", type=click.Choice(["nchw", "nhwc"]), default="nchw", show_default=True),
            click.option("--color", type=click.Choice(["rgb", "bgr"]), default="rgb", show_default=True),
            click.option(
                "--fit",
                type=click.Choice([fit.value for fit in Fit]),
                default="stretch",
                show_default=True,
                help="How a picture becomes the input.",
            ),
            click.option("--outputs", default="", help="Names of the outputs to use, boxes before scores: A or A,B."),
        )
    ):
        command = option(command)
    return store_options(command)


@click.group(name="import")
def import_command() -> None:
    """Build an engine from an ONNX file of your own."""


@import_command.command()
@_input_options
@click.option(
    "--labels", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="A label a line."
)
@click.option("--format", "output_format", type=_choice(DetectorFormat), required=True)
@click.option("--box-order", type=click.Choice(BOX_ORDERS), help="[default: xyxy for ssd, cxcywh for yolo]")
@click.option("--box-unit", type=click.Choice(["unit", "pixels"]), help="[default: unit for ssd, pixels for yolo]")
@click.option("--activation", type=_choice(Activation), default="none", show_default=True, help="That the scores lack.")
@click.option("--background", is_flag=True, help="The first class is background, and not in --labels.")
def detector(
    labels: Path,
    output_format: DetectorFormat,
    box_order: str | None,
    box_unit: str | None,
    activation: Activation,
    *,
    background: bool,
    **common: Any,  # noqa: ANN401
) -> None:
    """A detector with decoded boxes and scores (ssd), or with one output [N, 4+C, A] (yolo)."""
    is_yolo = output_format == "yolo"
    output = DetectorOutput(
        format=output_format,
        labels=_read_labels(labels),
        box_order=box_order or ("cxcywh" if is_yolo else "xyxy"),
        boxes_in_pixels=box_unit == "pixels" if box_unit else is_yolo,
        activation=activation,
        background=background,
        names=_names(common["outputs"]),
    )
    plan = detector_plan(common["name"], common["onnx_file"], _picture_input(common), output, Fit(common["fit"]))
    _stage(plan, common["store"])


@import_command.command()
@_input_options
def embedder(**common: Any) -> None:  # noqa: ANN401
    """An embedder with one output [N, D] or [N, D, 1, 1]; the L2 norm is added. Its name begins with embedder_."""
    _expect_embedder_name(common["name"])
    names = _names(common["outputs"])
    plan = embedder_plan(common["name"], common["onnx_file"], _picture_input(common), names, Fit(common["fit"]))
    _stage(plan, common["store"])


def _expect_embedder_name(name: str) -> None:
    if not name.startswith(EMBEDDER_PREFIX):
        wanted = f"{name!r}: an embedder's name begins with {EMBEDDER_PREFIX}; say {EMBEDDER_PREFIX}{name}"
        raise click.BadParameter(wanted, param_hint="--name")


def _stage(plan: Plan, store: EngineStore) -> None:
    version = build_engine(plan, store, Reporter())
    if not store.is_published(version):
        click.echo(f"next: framelens-engines validate {version.name}, then framelens-engines publish {version.name}")


def _picture_input(common: dict[str, Any]) -> PictureInput:
    height, width = common["input_size"]
    normalisation = Normalisation(common["mean"], common["std"], bgr=common["color"] == "bgr")
    return PictureInput(height, width, normalisation, channels_first=common["layout"] == "nchw")


def _names(outputs: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in outputs.split(",") if name.strip())


def _read_labels(path: Path) -> tuple[str, ...]:
    try:
        labels = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{path} is not UTF-8: {error}", param_hint="--labels") from error
    if not labels or "" in labels:
        where = f"line {labels.index('') + 1} of {path}" if labels else path
        raise click.BadParameter(f"{where} is empty; expected a label in each line", param_hint="--labels")
    return labels
