"""From a recipe to a staged version: convert, probe, stage; or nothing at all."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import onnx

from framelens_engines.engine import EngineRecord, Recipe, new_record
from framelens_engines.model_config import EmbedderShape, Shape, description, expect_shape
from framelens_engines.probe import probe
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion, engine_file
from framelens_engines.store import EngineStore
from framelens_engines.tensorrt.layers import LAYERS_JSON
from framelens_engines.tensorrt.plan import PlanBuilder
from framelens_engines.wheels import sha256_of


@dataclass(frozen=True)
class Plan:
    """A recipe, the shape its callers see, and how its graph is made (fetching what it needs).

    `builder` makes a plan of that graph for TensorRT; ONNX Runtime takes the graph itself.
    """

    recipe: Recipe
    shape: Shape
    convert: Callable[[], onnx.ModelProto]
    builder: PlanBuilder | None = None


def build_engine(plan: Plan, store: EngineStore, reporter: Reporter, *, again: bool = False) -> EngineVersion:
    """The version that holds the plan's build: staged, if it is nowhere yet or is wanted `again`."""
    recipe = plan.recipe
    with store.building():
        for described in store.described(recipe.model):
            expect_shape(described, plan.shape)
        if isinstance(plan.shape, EmbedderShape):
            store.expect_same_space(recipe)
        if not again and (existing := store.find(recipe.model, recipe.build)):
            reporter.say(f"{existing.name} is up to date (build {recipe.build})")
            return existing
        started = perf_counter()
        with store.workspace(recipe.model) as folder:
            reporter.say(f"{recipe.model}: converting {recipe.source.file} to {recipe.precision} {recipe.target}")
            record = _write_engine(plan, folder, store.timings, reporter)
            staged = store.stage(folder, description(recipe.model, plan.shape), record)
    reporter.say(f"{staged.name} built and checked in {perf_counter() - started:.1f} s (build {recipe.build})")
    return staged


def _write_engine(plan: Plan, folder: Path, timings: Path, reporter: Reporter) -> EngineRecord:
    """Writes the engine, and what it was made of: the ONNX is hashed, for plans differ from build to build."""
    graph = folder / "graph.onnx"
    onnx.save(plan.convert(), graph)
    probe(graph, plan.shape, plan.recipe.build)
    onnx_sha256 = sha256_of(graph)
    if plan.builder is None:
        graph.rename(engine_file(folder, plan.recipe.target))
        return new_record(plan.recipe, f"framelens-engines {version('framelens-engines')}", onnx_sha256)
    _write_plan(plan.recipe, plan.builder, graph, timings, reporter)
    graph.unlink()
    builder = plan.builder
    return new_record(plan.recipe, str(builder.flavour), onnx_sha256, builder.options.batch, builder.gpus)


def _write_plan(recipe: Recipe, builder: PlanBuilder, graph: Path, timings: Path, reporter: Reporter) -> None:
    """The plan and its layers.json, beside the graph."""
    serialised, layers = builder.build(onnx.load(graph), timings)
    engine_file(graph.parent, recipe.target).write_bytes(serialised)
    (graph.parent / LAYERS_JSON).write_text(layers.model_dump_json(indent=1) + "\n", encoding="utf-8")
    types = ", ".join(f"{count} in {name}" for name, count in layers.computed_in().items())
    reporter.say(
        f"{recipe.model}: {layers.builder}, for GPUs {', '.join(builder.gpus)}; convolutions and products: {types}"
    )
