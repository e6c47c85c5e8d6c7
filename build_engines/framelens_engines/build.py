"""From a recipe to a staged version: convert, probe, stage; or nothing at all."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import onnx

from framelens_engines.engine import BatchProfile, Recipe, new_record
from framelens_engines.model_config import EmbedderShape, Shape, description, expect_shape
from framelens_engines.probe import probe
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion, engine_file
from framelens_engines.store import EngineStore
from framelens_engines.tensorrt_plan import built_plan
from framelens_engines.wheels import sha256_of


@dataclass(frozen=True)
class Plan:
    """A recipe, the shape its callers see, and how its graph is made (fetching what it needs).

    `profile` is for TensorRT; ONNX Runtime takes every batch alike.
    """

    recipe: Recipe
    shape: Shape
    convert: Callable[[], onnx.ModelProto]
    profile: BatchProfile | None = None


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
            onnx_sha256 = _write_engine(plan, folder)
            builder = f"framelens-engines {version('framelens-engines')}"
            record = new_record(recipe, builder, onnx_sha256, plan.profile)
            staged = store.stage(folder, description(recipe.model, plan.shape), record)
    reporter.say(f"{staged.name} built and checked in {perf_counter() - started:.1f} s (build {recipe.build})")
    return staged


def _write_engine(plan: Plan, folder: Path) -> str:
    """Writes the engine; the sha256 of its ONNX, for plans of TensorRT differ from build to build."""
    graph = folder / "graph.onnx"
    onnx.save(plan.convert(), graph)
    probe(graph, plan.shape, plan.recipe.build)
    sha256 = sha256_of(graph)
    engine = engine_file(folder, plan.recipe.target)
    if plan.profile is None:
        graph.rename(engine)
    else:
        engine.write_bytes(built_plan(onnx.load(graph), plan.profile))
        graph.unlink()
    return sha256
