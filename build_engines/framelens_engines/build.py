"""From a recipe to a version in the model repository: convert, probe, publish; or nothing at all."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from time import perf_counter

import onnx

from framelens_engines.engine import Recipe, new_record
from framelens_engines.model_config import EmbedderShape, Shape
from framelens_engines.probe import probe
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion, ModelRepository, engine_file
from framelens_engines.wheels import sha256_of


@dataclass(frozen=True)
class Plan:
    """A recipe, the shape its callers see, and how its graph is made (fetching what it needs)."""

    recipe: Recipe
    shape: Shape
    convert: Callable[[], onnx.ModelProto]


def build_engine(plan: Plan, repository: ModelRepository, reporter: Reporter) -> EngineVersion:
    """The version that holds the plan's build, made if it is not there yet."""
    recipe = plan.recipe
    with repository.building(reporter):
        repository.expect_shape(recipe.model, plan.shape)
        if isinstance(plan.shape, EmbedderShape):
            repository.expect_same_space(recipe)
        if existing := repository.find(recipe.model, recipe.build):
            reporter.say(f"{recipe.model}: version {existing.version} is up to date (build {recipe.build})")
            return existing
        started = perf_counter()
        with repository.staged(recipe.model) as staged:
            reporter.say(f"{recipe.model}: converting {recipe.source.file} to {recipe.precision} {recipe.target}")
            engine = engine_file(staged, recipe.target)
            onnx.save(plan.convert(), engine)
            probe(engine, plan.shape, recipe.build)
            record = new_record(recipe, f"framelens-engines {version('framelens-engines')}", sha256_of(engine))
            published = repository.publish(staged, plan.shape, record)
    reporter.say(
        f"{recipe.model}: version {published.version} built and checked in {perf_counter() - started:.1f} s"
        f" (build {recipe.build})"
    )
    return published
