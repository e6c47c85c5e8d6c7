"""The demo's table, pictures and report.json."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from framelens_client import Match, RecognizedObject
from framelens_client.cli.drawing import Caption, draw
from framelens_perf.answers import Answer
from framelens_perf.machine import machine
from framelens_perf.overhead import Overhead
from framelens_perf.recall import Recall
from framelens_perf.sample_frames import DRAWN_LABEL

_STAGES = ("decode", "resize", "detect", "nms", "crop", "embed", "queue", "search", "total")


def answer_table(answers: list[Answer]) -> Table:
    """A line for each object; the milliseconds are of its frame."""
    table = Table("frame", "object", "score", "best match", "match", *_STAGES, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[5:]:
        column.justify = "right"
    for answer in answers:
        stages = [f"{answer.stages_ms.get(stage, 0):.0f}" for stage in _STAGES]
        for row, found in enumerate(answer.objects):
            best = found.matches[0] if found.matches else None
            table.add_row(
                answer.frame.name if row == 0 else "",
                found.label,
                _score(found),
                best.title if best else f"({found.route}: none indexed yet)",
                f"{best.score:.2f}" if best else "",
                *(stages if row == 0 else [""] * len(_STAGES)),
            )
    return table


def draw_answer(picture: Path, answer: Answer, out: Path) -> None:
    captions = [Caption(found.box, _caption(found)) for found in answer.objects]
    draw(picture, captions, out)


def write_report(path: Path, answers: list[Answer], recall: Recall, overhead: Overhead) -> None:
    report = {
        "machine": machine(),
        "frames": [_frame(answer) for answer in answers],
        "recall": {"asked": recall.asked, "at_1": recall.at_1, "missed": recall.missed},
        "overhead": {
            **asdict(overhead),
            "recognizer_over_stages": overhead.recognizer_over_stages,
            "gateway_added_ms": overhead.gateway_added_ms,
        },
    }
    path.write_text(json.dumps(report, indent=2) + "\n")


def _caption(found: RecognizedObject) -> str:
    best = f" > {found.matches[0].title} {found.matches[0].score:.2f}" if found.matches else f" > {found.route}"
    return f"{found.label} {_score(found)}".rstrip() + best


def _score(found: RecognizedObject) -> str:
    """A region that was drawn has none: nothing was detected."""
    return "" if found.label == DRAWN_LABEL else f"{found.score:.2f}"


def _frame(answer: Answer) -> dict[str, Any]:
    return {
        "name": answer.frame.name,
        "latency_ms": answer.latency_ms,
        "stages_ms": answer.stages_ms,
        "objects": [_object(found) for found in answer.objects],
    }


def _object(found: RecognizedObject) -> dict[str, Any]:
    at = found.box
    return {
        "label": found.label,
        "score": None if found.label == DRAWN_LABEL else found.score,
        "box": [at.x_min, at.y_min, at.x_max, at.y_max],
        "matches": [_match(match) for match in found.matches],
    }


def _match(match: Match) -> dict[str, Any]:
    names = ("kind", "id", "title", "score", "url", "merchant", "price")
    return {name: getattr(match, name) for name in names}
