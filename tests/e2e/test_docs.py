"""The examples of docs/api.md run as they are."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from framelens_client import Client

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_python_examples_run(served: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with Client(served["grpc"]) as client:
        everything = [each.product.id for each in client.all_products()]
        if everything:
            client.delete_products(everything)
    blocks = examples("python")
    assert len(blocks) == 2
    for block in blocks:
        exec(block, {"GRPC": served["grpc"]})  # noqa: S102 - our own page


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_the_curl_examples_run(environment: dict[str, str]) -> None:
    blocks = examples("sh")
    assert len(blocks) == 2
    for block in blocks:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        assert json.loads(done.stdout)["served"]["collections"]
