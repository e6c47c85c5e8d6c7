from pathlib import Path

import pytest

from framelens_client.catalogue.formats import format_of
from framelens_client.errors import CatalogueError


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"id,image\n", "csv"),
        ("a.csv", b"", "csv"),
        ("a.csv", b'"id,image', "csv"),
        ("a.csv", b"gs://bucket/a.jpg,,s,p1,toys-v2,,,\n", "google"),
        ("a.csv", b"\xef\xbb\xbfimage-uri,product-id\n", "google"),
        ("a.jsonl", b"", "jsonl"),
        ("a.NDJSON", b"", "jsonl"),
        ("a.parquet", b"", "parquet"),
        ("a", b"PAR1...", "parquet"),
        ("a.txt", b"id;image\n", "csv"),
    ],
)
def test_a_format_is_told_by_name_and_content(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert format_of(tmp_path / name) == expected


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="No such file"):
        format_of(tmp_path / "none.csv")
