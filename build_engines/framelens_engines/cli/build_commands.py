"""Commands that make engines: defaults, samples, build, space."""

from pathlib import Path
from typing import get_args

import click

from framelens_engines.build import build_engine
from framelens_engines.cli.options import CACHE, JSON, store_options
from framelens_engines.cli.output import say_version
from framelens_engines.cli.plan_options import plan_options
from framelens_engines.cli.server_options import connected, server_options
from framelens_engines.defaults import (
    DEFAULT_SPACE,
    DETECTOR,
    PUBLIC_SPACES,
    build_defaults,
    public_plan,
    publish_first,
)
from framelens_engines.derived import Wanted, derived_plan
from framelens_engines.engine import Precision, Target
from framelens_engines.progress import Reporter
from framelens_engines.samples import extract_samples
from framelens_engines.server import ServerAddress
from framelens_engines.store import EngineStore
from framelens_engines.tensorrt.options import PlanOptions


@click.command()
@store_options
@CACHE
def defaults(store: EngineStore, cache: Path) -> None:
    """Build and publish the default detector and embedder, unless they are there already."""
    build_defaults(store, cache, Reporter())


@click.command()
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), required=True)
@CACHE
def samples(to: Path, cache: Path) -> None:
    """Extract sample pictures, from scikit-image's wheel."""
    pictures = extract_samples(to, cache, Reporter())
    click.echo(f"{len(pictures)} pictures in {to}")


@click.command("sample-videos")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), required=True)
def sample_videos(to: Path) -> None:
    """Extract a sample video, in two parts, from Debian's opencv-doc."""
    # Needed here alone, and not in every environment.
    from framelens_engines.sample_videos import extract_sample_videos

    videos = extract_sample_videos(to, Reporter())
    click.echo(f"{len(videos)} videos in {to}")


@click.command()
@click.argument("model")
@click.option("--precision", type=click.Choice(get_args(Precision)), default="fp32", show_default=True)
@plan_options
@click.option(
    "--calibration",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Pictures to calibrate INT8 with; not those that you validate with  [default: public ones]",
)
@click.option("--again", is_flag=True, help="Build it even if the same build is there, under a new number.")
@store_options
@CACHE
@JSON
def build(
    model: str,
    precision: Precision,
    target: Target,
    options: PlanOptions | None,
    calibration: Path | None,
    store: EngineStore,
    cache: Path,
    *,
    again: bool,
    as_json: bool,
) -> None:
    """Stage a new version of MODEL, from its FP32 engine or, for the public models, from their weights."""
    reporter = Reporter(quiet=as_json)
    wanted = Wanted(precision, target, options)
    public = model in (DETECTOR, *PUBLIC_SPACES)
    if public and (wanted == Wanted("fp32", "onnxruntime") or not store.versions(model)):
        version = build_engine(public_plan(model, cache, reporter), store, reporter, again=again)
    if wanted != Wanted("fp32", "onnxruntime") or not public:
        plan = derived_plan(store, model, wanted, calibration, cache, reporter)
        version = build_engine(plan, store, reporter, again=again)
    say_version(store, version, as_json=as_json)


@click.group()
def space() -> None:
    """Embedding spaces: models of their own beside the one that serves."""


@space.command()
@click.argument("model", type=click.Choice([name for name in PUBLIC_SPACES if name != DEFAULT_SPACE]))
@store_options
@server_options
@CACHE
@JSON
def add(model: str, store: EngineStore, addresses: list[ServerAddress], cache: Path, *, as_json: bool) -> None:
    """Add a public embedder as a space of its own, and load it; `framelens-index migrate` moves an index to it."""
    reporter = Reporter(quiet=as_json)
    version = publish_first(store, model, cache, reporter)
    with connected(addresses) as servers:
        for server in servers:
            server.load(model)
            reporter.say(f"{server.name}: serves {version.name}")
    say_version(store, version, as_json=as_json)
