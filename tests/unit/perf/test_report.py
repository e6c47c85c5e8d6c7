"""The demo's table, pictures and report.json say nothing that nobody measured."""

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from framelens_client import Box, RecognizedObject
from framelens_perf.answers import Answer
from framelens_perf.overhead import Overhead
from framelens_perf.recall import Recall
from framelens_perf.report import _caption, answer_table, write_report
from framelens_perf.sample_frames import DRAWN_LABEL, SampleFrame

BOX = Box(0.0, 0.0, 1.0, 1.0)
DRAWN = RecognizedObject(DRAWN_LABEL, 1.0, BOX, "products", (), "", "")
FOUND = RecognizedObject("cup", 0.95, BOX, "products", (), "", "")


def answer(found: RecognizedObject) -> Answer:
    return Answer(SampleFrame("frame", "picture.png", (), found.label, None), 1.0, {}, (found,))


def test_only_what_was_detected_has_a_score(tmp_path: Path) -> None:
    assert _caption(FOUND) == "cup 0.95 > products"
    assert _caption(DRAWN) == f"{DRAWN_LABEL} > products"
    console = Console(width=200, record=True, file=StringIO())
    console.print(answer_table([answer(FOUND), answer(DRAWN)]))
    shown = console.export_text()
    assert "0.95" in shown
    assert "1.00" not in shown
    path = tmp_path / "report.json"
    write_report(path, [answer(FOUND), answer(DRAWN)], Recall(1, ()), Overhead(1.0, 1.0, 1.0, 1.0, {}))
    assert [frame["objects"][0]["score"] for frame in json.loads(path.read_text())["frames"]] == [0.95, None]
