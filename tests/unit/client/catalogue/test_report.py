import csv
import json
from pathlib import Path

import pytest

from framelens_client.catalogue.report import Report
from framelens_client.catalogue.rows import Rejection
from framelens_client.errors import CatalogueError

REJECTIONS = [
    Rejection(2, "p1", "INVALID_PICTURE", 'image not found: "é".jpg'),
    Rejection(3, "", "INVALID_PRODUCT", "no id"),
]


def write(path: Path) -> None:
    with Report(path) as report:
        for rejection in REJECTIONS:
            report.add(rejection)


def test_csv(tmp_path: Path) -> None:
    write(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = [Rejection(int(row["line"]), row["id"], row["reason"], row["message"]) for row in csv.DictReader(file)]
    assert rows == REJECTIONS


def test_json_lines(tmp_path: Path) -> None:
    write(tmp_path / "report.jsonl")
    lines = (tmp_path / "report.jsonl").read_text(encoding="utf-8").splitlines()
    assert [Rejection(**json.loads(line)) for line in lines] == REJECTIONS


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot write the report"):
        Report(tmp_path / "missing" / "report.csv")
