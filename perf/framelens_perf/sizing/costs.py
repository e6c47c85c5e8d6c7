"""What a frame costs: milliseconds of one core for each stage, and how a machine's cores work together."""

from dataclasses import dataclass

from framelens_perf.sizing.failures import ReportUnusable
from framelens_perf.sizing.report import Load, Report

_EMBEDDER = "embedder_"
_RECOGNIZER = "recognizer"


@dataclass(frozen=True)
class Costs:
    """As measured on `cores` cores with `products` products indexed; `crop_ms` and `embed_ms` are of one object.

    `triton_ms` is the way to recognizer and back, `gateway_ms` what the gateway adds to that, and `search_ms` a search
    for all objects of one frame. `detect_threads` and `embed_threads` say how many times faster an engine was with
    all cores than with one, and `all_busy` how fast a core was while all worked, as a share of its speed alone.
    """

    cores: int
    products: int
    objects: float
    decode_ms: float
    resize_ms: float
    detect_ms: float
    nms_ms: float
    crop_ms: float
    embed_ms: float
    triton_ms: float
    gateway_ms: float
    search_ms: float
    detect_threads: float
    embed_threads: float
    all_busy: float


def costs_of(report: Report) -> Costs:
    """Raises ReportUnusable."""
    alone, saturated = report.alone, report.saturated
    one_core, cores = saturated.one_core_stages_ms, report.machine.cores
    objects = _objects(report.curve)
    # The two were measured minutes apart; what the machine's speed changed by meanwhile is no speed-up.
    drift = alone.stages_in_process_ms / one_core.total
    together = saturated.all_cores_rate * saturated.one_core_ms / 1e3 / cores
    return Costs(
        cores=cores,
        products=report.products,
        objects=objects,
        decode_ms=one_core.decode,
        resize_ms=one_core.resize,
        detect_ms=one_core.detect,
        nms_ms=one_core.nms,
        crop_ms=one_core.crop / objects,
        embed_ms=one_core.embed / objects,
        triton_ms=alone.stages_ms.queue,
        gateway_ms=alone.gateway_added_ms,
        search_ms=alone.search_ms,
        detect_threads=_between(1, drift * one_core.detect / alone.stages_ms.detect, cores),
        embed_threads=_between(1, drift * one_core.embed / alone.stages_ms.embed, cores),
        all_busy=_between(1 / cores, together, 1),
    )


def _objects(curve: list[Load]) -> float:
    """Objects in a frame, from the lightest load: there the calls of two recognizers rarely met in one execution."""
    triton = min(curve, key=lambda load: load.share).triton
    frames = triton[_RECOGNIZER].requests if _RECOGNIZER in triton else 0
    crops = sum(each.requests * each.mean_batch for model, each in triton.items() if model.startswith(_EMBEDDER))
    if not frames or not crops:
        raise ReportUnusable(
            "the report's lightest load has no objects in Triton's statistics of recognizer and embedder;"
            " run `make perf` again for a whole report"
        )
    return crops / frames


def _between(least: float, value: float, most: float) -> float:
    return max(least, min(value, most))
