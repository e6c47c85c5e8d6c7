"""Conversion between the values of trials.py and the messages of the contract."""

from dataclasses import fields
from typing import Any

from google.protobuf.message import Message

from framelens_client import trials
from framelens_client.v1 import framelens_pb2 as pb


def bounds_message(bounds: trials.Bounds | None) -> pb.Bounds | None:
    if bounds is None:
        return None
    return pb.Bounds(
        max_error_rate=bounds.max_error_rate,
        max_p99_ratio=bounds.max_p99_ratio,
        max_p99_ms=bounds.max_p99_ms,
        min_requests=bounds.min_requests,
        window=bounds.window,
    )


def trial(answer: pb.Trial) -> trials.Trial:
    return trials.Trial(
        state=answer.state,
        kind=answer.kind,
        share=answer.share,
        candidate=answer.candidate,
        started_at=answer.started_at,
        ended_at=answer.ended_at if answer.HasField("ended_at") else None,
        reason=answer.reason,
        notes=tuple(answer.notes),
        shadow=_shadow(answer.shadow) if answer.HasField("shadow") else None,
        canary=_canary(answer.canary) if answer.HasField("canary") else None,
    )


def _shadow(report: pb.ShadowReport) -> trials.ShadowReport:
    distributions = ("overlap_at_k", "object_score_shift", "match_score_shift", "live_ms", "candidate_ms")
    named: dict[str, Any] = _values(trials.ShadowReport, report)
    named |= {name: trials.Distribution(**_values(trials.Distribution, named[name])) for name in distributions}
    disagreements = tuple(trials.Disagreement(**_values(trials.Disagreement, each)) for each in report.disagreements)
    return trials.ShadowReport(**named | {"disagreements": disagreements, "errors": tuple(report.errors)})


def _canary(report: pb.CanaryReport) -> trials.CanaryReport:
    return trials.CanaryReport(
        served=report.served,
        failed=report.failed,
        bounds=trials.Bounds(**{field.name: value for field, value in report.bounds.ListFields()}),
        candidate=trials.CanaryGroup(**_values(trials.CanaryGroup, report.candidate)),
        control=trials.CanaryGroup(**_values(trials.CanaryGroup, report.control)),
        errors=tuple(report.errors),
        no_time=report.no_time,
    )


def _values(kind: Any, message: Message) -> dict[str, Any]:  # noqa: ANN401 (a dataclass)
    """The message's fields, which have the same names."""
    return {field.name: getattr(message, field.name) for field in fields(kind)}
